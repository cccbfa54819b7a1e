//! The form that requests of Query services carry.

use std::collections::BTreeMap;

/// Decoded form fields.
#[derive(Debug, Default)]
pub(in super::super) struct Form {
    fields: BTreeMap<String, String>,
}

impl Form {
    pub(in super::super) fn parse(body: &str) -> Self {
        let pairs = body.split('&').filter(|pair| !pair.is_empty());
        let fields = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self { fields: fields.map(|(name, value)| (decode(name), decode(value))).collect() }
    }

    pub(in super::super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// The members of a list: `Name.1`, `Name.2`, …
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|number: u32| self.get(&format!("{name}.{number}"))).collect()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| value == "true")
    }

    /// The request's filters: names with their accepted values.
    pub(super) fn filters(&self) -> Vec<(&str, Vec<&str>)> {
        let name = |number: u32| self.get(&format!("Filter.{number}.Name"));
        (1..).map_while(|number| Some((name(number)?, self.list(&format!("Filter.{number}.Value"))))).collect()
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.extend(u8::from_str_radix(&digits, 16));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_lists_keep_their_order() {
        let form = Form::parse("Action=A&Name.1=a%2Fb&Name.2=c+d&Filter.1.Name=n&Filter.1.Value.1=v");
        assert_eq!(form.list("Name"), ["a/b", "c d"]);
        assert_eq!(form.filters(), [("n", vec!["v"])]);
    }
}
