//! RFC 8785 canonical JSON.

use serde::Serialize;
use serde_json::Value;

/// Largest integer that JSON's numbers hold exactly, and whose shortest form is its digits.
const EXACT: u64 = 1 << 53;

/// RFC 8785 canonical JSON of anything.
pub(crate) fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(value)
}

/// The same of a value, without the way round that only fractions and names beyond ASCII need.
pub(crate) fn canonical_value(value: &Value) -> Result<Vec<u8>, serde_json::Error> {
    if is_plain(value) { serde_json::to_vec(value) } else { canonical(value) }
}

/// Whether a value, written as it is, is canonical already. `serde_json` escapes strings as the RFC asks.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => {
            let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            magnitude.is_some_and(|magnitude| magnitude <= EXACT)
        }
        Value::Array(items) => items.iter().all(is_plain),
        // Names are sorted by UTF-16 units, and by bytes here: the same as long as they are ASCII.
        Value::Object(fields) => {
            fields.keys().is_sorted() && fields.iter().all(|(name, value)| name.is_ascii() && is_plain(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (0..100_u64).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\x00-\\x7f]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-zA-Z0-9_-]{0,4}|\\PC{0,2}", inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_short_way_gives_the_same_bytes(value in values()) {
            // Integers that no double holds have no canonical form, so none is written of them.
            if let Ok(canonical) = canonical(&value) {
                prop_assert_eq!(String::from_utf8(canonical_value(&value).unwrap()).unwrap(), String::from_utf8(canonical).unwrap());
            }
        }
    }

    #[test]
    fn what_has_another_order_or_form_takes_the_long_way() {
        for long in [json!({"\u{e000}": 1, "\u{1f600}": 2}), json!(1.5), json!(EXACT + 2), json!({"a": [{"b": -0.0}]})] {
            assert!(!is_plain(&long), "{long}");
            assert_eq!(canonical_value(&long).unwrap(), canonical(&long).unwrap());
        }
    }

    #[test]
    fn controls_are_escaped_as_the_rfc_asks() {
        let text: String = (0..0x80).map(|code| char::from(u8::try_from(code).unwrap())).collect();
        let value = json!({ "text": text });
        assert!(is_plain(&value));
        assert_eq!(canonical_value(&value).unwrap(), canonical(&value).unwrap());
    }
}
