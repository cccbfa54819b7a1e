//! JSON as evidence must be read: no key twice in one object, bounded depth, nothing after the value.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Most arrays and objects in one value. Empty ones take three bytes in a text and hundreds in memory; caselock's own texts have far fewer.
const MOST: u32 = 65_536;

/// Parses one JSON value and refuses an object that has a key twice: two readers could disagree on what it says.
///
/// Depth is bounded by `serde_json` at 128.
pub fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { opened: &Cell::new(0) }.deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    /// Arrays and objects so far.
    opened: &'a Cell<u32>,
}

impl Strict<'_> {
    fn open<E: Error>(self) -> Result<(), E> {
        self.opened.set(self.opened.get().saturating_add(1));
        if self.opened.get() > MOST { Err(E::custom(format!("more than {MOST} arrays and objects"))) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.open()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.open()?;
        let mut fields = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if fields.contains_key(&key) {
                return Err(twice(&key));
            }
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

/// A key that an object has already.
pub(crate) fn twice<E: Error>(key: &str) -> E {
    E::custom(format!("the key `{}` stands twice in one object", super::printable(key)))
}

/// The keys of one object, where its values are not kept.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashSet<String>);

impl Keys {
    /// Most that are remembered: no object of AWS's has as many.
    const MOST: usize = 1024;

    /// Takes the next one; none may come twice.
    pub(crate) fn add<E: Error>(&mut self, key: String) -> Result<(), E> {
        if self.0.contains(&key) {
            return Err(twice(&key));
        }
        if self.0.len() >= Self::MOST {
            return Err(E::custom(format!("an object has more than {} keys", Self::MOST)));
        }
        self.0.insert(key);
        Ok(())
    }
}

/// Any value, read as strictly as [`parse`] reads it and not kept, so that what nobody asked for takes no memory.
#[derive(Debug)]
pub(crate) struct Forgotten;

impl<'de> Deserialize<'de> for Forgotten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ForgottenVisitor)
    }
}

struct ForgottenVisitor;

impl<'de> Visitor<'de> for ForgottenVisitor {
    type Value = Forgotten;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Forgotten, E> {
        Ok(Forgotten)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Forgotten, E> {
        Ok(Forgotten)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Forgotten, E> {
        Ok(Forgotten)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Forgotten, E> {
        Ok(Forgotten)
    }

    fn visit_str<E>(self, _: &str) -> Result<Forgotten, E> {
        Ok(Forgotten)
    }

    fn visit_unit<E>(self) -> Result<Forgotten, E> {
        Ok(Forgotten)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Forgotten, A::Error> {
        while let Some(Forgotten) = items.next_element()? {}
        Ok(Forgotten)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Forgotten, A::Error> {
        let mut keys = Keys::default();
        while let Some(key) = entries.next_key()? {
            entries.next_value::<Forgotten>()?;
            keys.add(key)?;
        }
        Ok(Forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_twice_is_refused_at_any_depth() {
        assert!(parse(br#"{"a":[{"b":1,"c":{"b":1}}]}"#).is_ok());
        assert!(parse(br#"{"a":[{"b":1,"b":1}]}"#).is_err());
        assert!(parse(br#"{"a":1,"\u0061":2}"#).is_err());
    }

    #[test]
    fn what_follows_the_value_is_refused() {
        assert!(parse(b"{} {}").is_err());
    }

    #[test]
    fn so_many_arrays_and_objects_that_memory_would_not_hold_them_are_refused() {
        let list = |count: usize| format!("[{}0]", "{},[],".repeat(count / 2));
        assert!(parse(list(65_000).as_bytes()).is_ok());
        assert!(parse(list(70_000).as_bytes()).is_err());
    }

    #[test]
    fn what_is_forgotten_is_read_as_strictly_as_what_is_kept() {
        for text in [
            r#"{"a":[{"b":1,"c":{"b":1}}],"d":"\u00e9","e":[1.5,-3,18446744073709551615,true,null]}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1e999}"#,
            r#"{"a":01}"#,
            "[1,]",
            "[\"\t\"]",
            "{} {}",
            "",
        ] {
            let (kept, forgotten) = (parse(text.as_bytes()), serde_json::from_slice::<Forgotten>(text.as_bytes()));
            let said = |error: serde_json::Error| error.to_string();
            assert_eq!(kept.map(drop).map_err(said), forgotten.map(drop).map_err(said), "{text}");
        }
        let deep = b"[".repeat(100_000);
        assert!(serde_json::from_slice::<Forgotten>(&deep).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        assert!(parse(&b"[".repeat(100_000)).is_err());
    }
}
