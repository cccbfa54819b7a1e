use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::output::width;

/// Fewest columns for the last cell of a row, which alone is broken into lines.
const LAST: u16 = 16;

/// A plain table; columns named in `numbers` are aligned to the right, and only the last one is ever broken into lines.
pub(super) fn table(header: &[&str], numbers: &[usize], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(header.to_vec());
    table.set_width(u16::try_from(width()).unwrap_or(u16::MAX));
    table.add_rows(rows);
    // One blank between columns: the table of a collection is to fit a terminal of 80.
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 1)).set_constraint(ColumnConstraint::ContentWidth);
    });
    if let Some(last) = table.column_mut(header.len().saturating_sub(1)) {
        last.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(LAST)));
    }
    for number in numbers {
        if let Some(column) = table.column_mut(*number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
