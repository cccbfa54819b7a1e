//! Writing XML.

/// An XML document under construction.
#[derive(Debug)]
pub(super) struct Xml {
    text: String,
}

/// Writes a document.
pub(super) fn document(write: impl FnOnce(&mut Xml)) -> String {
    let mut xml = Xml { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned() };
    write(&mut xml);
    xml.text
}

impl Xml {
    /// An element with children.
    pub(super) fn element(&mut self, name: &str, children: impl FnOnce(&mut Self)) {
        self.tag("<", name, ">");
        children(self);
        self.tag("</", name, ">");
    }

    /// An element with children and a default namespace.
    pub(super) fn element_in(&mut self, name: &str, namespace: &str, children: impl FnOnce(&mut Self)) {
        self.tag("<", name, " xmlns=\"");
        self.text.push_str(namespace);
        self.text.push_str("\">");
        children(self);
        self.tag("</", name, ">");
    }

    /// An element with text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.tag("<", name, ">");
        for character in value.chars() {
            match character {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                other => self.text.push(other),
            }
        }
        self.tag("</", name, ">");
    }

    /// An element with a number or a truth value.
    pub(super) fn value(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text(name, &value.to_string());
    }

    fn tag(&mut self, open: &str, name: &str, close: &str) {
        self.text.push_str(open);
        self.text.push_str(name);
        self.text.push_str(close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let text = document(|xml| xml.element("a", |xml| xml.text("b", "<&>\"")));
        assert!(text.ends_with("<a><b>&lt;&amp;&gt;&quot;</b></a>"));
    }
}
