use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// A plain table; columns named in `numbers` are aligned to the right.
pub(super) fn table(header: &[&str], numbers: &[usize], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header.to_vec());
    table.add_rows(rows);
    // One blank between columns: the table of a collection is to fit a terminal of 80.
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 1));
    });
    for number in numbers {
        if let Some(column) = table.column_mut(*number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
