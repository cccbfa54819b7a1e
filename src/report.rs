//! The report and the forms that people read: one self-contained HTML page, derived from a case and its verification.
//!
//! It needs no script and no network, and prints well. Text enters the page through one type that escapes it, so nothing in the
//! evidence can become markup. For programs there are flat records and a CASE/UCO graph, written as the ledger is read.

mod case_uco;
mod checks;
mod coverage;
mod facts;
mod forms;
mod markup;
mod page;
mod records;
mod sections;
mod timeline;
mod words;

pub use case_uco::write_case_uco;
pub use facts::{Facts, read_facts};
pub use page::{Made, report_page};
pub use records::{ExportError, RecordFormat, write_records};
