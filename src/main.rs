//! The program `wythe`: see `cli`.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
