//! Plain tables, to the width of the terminal.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::output::{hanging, width};

/// Fewest columns for the last cell of a row, which alone is broken into lines.
const LAST: u16 = 16;

/// A plain table; columns named in `numbers` are aligned to the right, and only the last one is ever broken into lines. Where the lines would
/// be wider than the terminal all the same, each row is a paragraph.
pub(super) fn table(header: &[&str], numbers: &[usize], rows: Vec<Vec<String>>) -> String {
    if fewest_columns(header, &rows) > width() {
        return rows.iter().map(|row| paragraph(header, numbers, row)).collect::<Vec<_>>().join("\n");
    }
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

/// How wide a table is at least: every column as its widest cell, with a blank between, and the last as narrow as it may be.
fn fewest_columns(header: &[&str], rows: &[Vec<String>]) -> usize {
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|title| title.chars().count())).max().unwrap_or_default()
    };
    let last = header.len().saturating_sub(1);
    (0..last).map(|column| widest(column) + 1).sum::<usize>() + widest(last).min(usize::from(LAST))
}

/// A row in lines of its own: its words, then each number and the last cell with its title.
fn paragraph(header: &[&str], numbers: &[usize], row: &[String]) -> String {
    let last = row.len().saturating_sub(1);
    let (mut words, mut said) = (Vec::new(), Vec::new());
    for (column, (title, cell)) in header.iter().zip(row).enumerate().filter(|(_, (_, cell))| !cell.is_empty()) {
        if column == last || numbers.contains(&column) {
            said.push(format!("{title} {cell}"));
        } else {
            words.push(cell.as_str());
        }
    }
    format!("{}\n{}", hanging(&words.join(" "), "", "    "), hanging(&said.join(", "), "    ", "    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [&str; 4] = ["Source", "Region", "Found", "Gaps"];

    fn row() -> Vec<String> {
        ["flow-logs", "ap-southeast-2", "1,234", "3 denied, 2 archived, 1 failed"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_table_is_as_wide_as_its_cells_need_but_for_the_last() {
        assert_eq!(fewest_columns(&HEADER, &[row()]), 10 + 15 + 6 + 16);
        assert_eq!(fewest_columns(&["a", "b"], &[]), 2 + 1);
    }

    #[test]
    fn a_row_that_does_not_fit_is_a_paragraph_with_the_titles_of_its_numbers() {
        let told = paragraph(&HEADER, &[2], &row());
        assert_eq!(told, "flow-logs ap-southeast-2\n    Found 1,234, Gaps 3 denied, 2 archived, 1 failed");
        let mut without = row();
        without[3].clear();
        assert_eq!(paragraph(&HEADER, &[2], &without), "flow-logs ap-southeast-2\n    Found 1,234");
    }
}
