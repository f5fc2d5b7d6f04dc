//! Columns: the `=` of a run of bindings, the values of a train section.

use super::Line;

/// The columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// Aligns settings, and the runs of bindings that the author has begun to align.
pub(super) fn align(lines: &mut [Line]) {
    align_settings(lines);
    let mut start = 0;
    for at in 0..=lines.len() {
        let ends = match lines.get(at) {
            Some(line) => at > start && (line.blank || !line.single || line.body != lines[start].body),
            None => true,
        };
        if ends {
            align_run(&mut lines[start..at]);
            start = at;
        }
    }
}

/// All values of one train section in one column.
fn align_settings(lines: &mut [Line]) {
    for at in 0..lines.len() {
        if lines[at].setting.is_none() {
            continue;
        }
        let body = lines[at].body;
        let names = lines[at..].iter().take_while(|line| line.body >= body).filter(|line| line.body == body);
        let longest = names.filter_map(|line| line.setting).max().unwrap_or(0);
        for line in lines[at..].iter_mut().take_while(|line| line.body >= body).filter(|line| line.body == body) {
            if let Some(name) = line.setting.take() {
                let value = line.code[name..].trim_start();
                line.code = format!("{:<longest$} {value}", &line.code[..name]);
            }
        }
    }
}

/// The `=` of these lines in one column, if one of them was moved by hand.
fn align_run(lines: &mut [Line]) {
    if !lines.iter().any(|line| line.single && line.equals.is_some_and(|(_, moved)| moved)) {
        return;
    }
    let column = lines.iter().filter(|line| line.single).filter_map(|line| line.equals).map(|(at, _)| at).max();
    for line in lines.iter_mut().filter(|line| line.single) {
        if let (Some((at, _)), Some(column)) = (line.equals, column) {
            line.code.insert_str(at, &" ".repeat(column - at));
        }
    }
}
