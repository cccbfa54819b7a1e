//! The only way into the page: whatever does not stand in the program's own text is escaped.

use std::fmt::Display;

use crate::model::printable;

/// A page on its way. Markup is only what stands in the program's own text; everything else is escaped.
#[derive(Clone, Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Adds markup, which only the program's own text can be.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, escaped.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        for c in printable(&text.to_string()).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Adds text of the program's own, escaped, in the lines that it has.
    pub(super) fn text_in_lines(&mut self, text: &'static str) -> &mut Self {
        for (at, line) in text.lines().enumerate() {
            self.raw(if at == 0 { "" } else { "\n" }).text(line);
        }
        self
    }

    /// Adds text between an opening and a closing tag.
    pub(super) fn within(&mut self, open: &'static str, text: impl Display, close: &'static str) -> &mut Self {
        self.raw(open).text(text).raw(close)
    }

    /// Adds a paragraph.
    pub(super) fn paragraph(&mut self, text: impl Display) -> &mut Self {
        self.within("<p>", text, "</p>\n")
    }

    /// Adds a table of names and values; an empty value is left blank, for a person to fill in.
    pub(super) fn fields(&mut self, fields: &[(&'static str, String)]) -> &mut Self {
        let fields: Vec<(&'static str, Vec<String>)> =
            fields.iter().map(|(name, value)| (*name, vec![value.clone()])).collect();
        self.fields_in_lines(&fields)
    }

    /// The same, each value in lines of its own.
    pub(super) fn fields_in_lines(&mut self, fields: &[(&'static str, Vec<String>)]) -> &mut Self {
        self.raw("<table class=\"fields\">\n");
        for (name, lines) in fields {
            self.within("<tr><th scope=\"row\">", name, "</th>");
            let mut lines = lines.iter().filter(|line| !line.is_empty()).peekable();
            self.raw(if lines.peek().is_none() { "<td class=\"blank\">" } else { "<td>" });
            while let Some(line) = lines.next() {
                self.text(line).raw(if lines.peek().is_some() { "<br>" } else { "" });
            }
            self.raw("</td></tr>\n");
        }
        self.raw("</table>\n")
    }

    /// Adds a table with a header; cells beyond the header are kept, missing ones left out.
    pub(super) fn table(&mut self, class: &'static str, header: &[&'static str], rows: &[Vec<String>]) -> &mut Self {
        self.raw("<table class=\"").raw(class).raw("\">\n<thead><tr>");
        for name in header {
            self.within("<th scope=\"col\">", name, "</th>");
        }
        self.raw("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.raw("<tr>");
            for cell in row {
                self.within("<td>", cell, "</td>");
            }
            self.raw("</tr>\n");
        }
        self.raw("</tbody></table>\n")
    }

    /// Adds a list.
    pub(super) fn list(&mut self, items: &[String]) -> &mut Self {
        self.raw("<ul>\n");
        for item in items {
            self.within("<li>", item, "</li>\n");
        }
        self.raw("</ul>\n")
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_never_becomes_markup() {
        let mut page = Markup::default();
        page.raw("<p>").text("</p><script>alert('x' & \"y\")</script>\u{202e}").raw("</p>");
        assert_eq!(
            page.finish(),
            r"<p>&lt;/p&gt;&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;\u{202e}</p>"
        );
    }
}
