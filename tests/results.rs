//! What the pages say of real runs is what the commands wrote: `models/results` against README.md and models/README.md.

use serde_json::Value;

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn result(name: &str) -> Value {
    serde_json::from_str(&read(&format!("models/results/{name}"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The cells of the rows below these headings.
fn table(page: &str, heads: &str) -> Vec<Vec<String>> {
    let page = read(page);
    let (_, rest) = page.split_once(&format!("{heads}\n")).unwrap_or_else(|| panic!("there is no table {heads}"));
    let rows = rest.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_string()).collect()).collect()
}

#[test]
fn the_real_runs_gave_what_the_page_says() {
    let rows = table("README.md", "| what | command | processor time | held out | written |");
    assert_eq!(rows.len(), 3);
    for row in rows {
        let file = row[4].split(['[', ']']).nth(1).expect("a link");
        assert_eq!(row[4], format!("[{file}](models/results/{file})"));
        let model = file.replace(".json", ".model");
        assert_eq!(row[1], format!("`wythe train models/{model}`"));
        let found = result(file);
        let number = |name: &str| found["results"][name].as_f64().unwrap_or_else(|| panic!("{file} has no {name}"));
        let loss = format!("{:.4}", number("loss"));
        let accuracy = format!("{:.1} %", 100.0 * number("accuracy"));
        assert!(row[3].contains(&loss) && row[3].contains(&accuracy), "{file}: {loss}, {accuracy}, and not {}", row[3]);
        if file == "jargon.json" {
            let bits = format!("{:.2} bits", number("loss") / std::f64::consts::LN_2);
            assert!(row[3].contains(&bits) && number("loss") < 1.7, "{bits}");
        }
    }
    let (page, written) = (read("README.md"), read("models/results/jargon.txt"));
    let (_, shown) = page.split_once("--top-k 40 --seed 1\n").expect("the page shows what was generated");
    let shown: Vec<&str> = shown.lines().take_while(|line| *line != "...").collect();
    assert!(shown.len() > 5 && written.starts_with(&shown.join("\n")), "{shown:?}");
}

/// Median, least and largest, as the table of a sweep shows them.
fn cell(values: &Value) -> String {
    let mut values: Vec<f64> = values.as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
    values.sort_by(f64::total_cmp);
    let number = |value: f64| match value {
        _ if value < 1e-3 => format!("{value:.2e}"),
        _ if value < 10.0 => format!("{value:.4}"),
        _ if value < 100.0 => format!("{value:.3}"),
        _ => format!("{value:.2}"),
    };
    match values[..] {
        [] => "-".into(),
        [one] => number(one),
        [low, .., high] => format!("{} ({} … {})", number(values[values.len() / 2]), number(low), number(high)),
    }
}

#[test]
fn the_places_of_norms_gave_what_the_page_says() {
    let heads = "| depth | norm | place | held-out loss | accuracy | gradient, first layer | gradient, last layer |";
    let rows = table("models/README.md", heads);
    let mut want = vec![];
    for file in ["placement.json", "placement_dyt.json", "placement_1000.json"] {
        for row in result(file)["rows"].as_array().expect("rows") {
            assert_eq!(row["diverged"], 0, "{file}: {row}");
            let set = |key: &str| row["set"][key].as_str().map(str::to_string);
            let head = [set("depth"), set("norm").or(Some("layernorm".into())), set("placement")];
            let names = ["valid.loss", "valid.accuracy", "start.grad_norms.first.*", "start.grad_norms.last.*"];
            let cells = names.iter().map(|name| cell(&row["results"][name]));
            want.push(head.into_iter().flatten().chain(cells).collect::<Vec<String>>());
        }
    }
    assert_eq!(rows, want);
    // A thousand sublayers learn.
    let deepest = &result("placement_1000.json")["rows"][0]["results"];
    let first = |name: &str| deepest[name][0].as_f64().expect("a number");
    assert!(first("loss") <= first("start.loss") / 2.0, "{deepest}");
}
