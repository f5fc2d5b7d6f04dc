//! The program `wythe`: see `cli`.

fn main() -> std::process::ExitCode {
    wythe::cli::main()
}
