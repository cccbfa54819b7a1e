//! The command line of caselock.

fn main() -> std::process::ExitCode {
    caselock::cli::main()
}
