//! An accounting as text, CSV, JSON and a page to print.
//!
//! Names in a record are anybody's text: INVARIANT (text stays text): control characters, markup and what a
//! spreadsheet takes for a formula are escaped in each form.

use super::{Accounting, Row};
use crate::text::printable;

const HEADINGS: [&str; 5] = ["Date", "Who received it", "What", "What for", "Basis"];

impl Accounting {
    /// Plain text, one paragraph for each row.
    pub fn to_text(&self) -> String {
        let mut out = format!(
            "Accounting of disclosures\nRecord of: {}\nPeriod: {} to {}\n",
            printable(&self.patient.id),
            self.from,
            self.until
        );
        if self.rows.is_empty() {
            out.push_str("\nNo disclosures in this period.\n");
        }
        for row in &self.rows {
            out.push('\n');
            for (heading, cell) in HEADINGS.iter().zip(cells(row)) {
                out.push_str(&format!("{heading}: {}\n", printable(&cell)));
            }
        }
        out
    }

    /// CSV by RFC 4180, with a header.
    pub fn to_csv(&self) -> String {
        let header = "date,count,last_date,recipient,what,purpose,may_include,required,listing\r\n";
        let mut out = header.to_owned();
        for row in &self.rows {
            let cells = [
                row.date.clone(),
                row.count.to_string(),
                row.last_date.clone().unwrap_or_default(),
                row.recipient.clone(),
                row.what.clone(),
                row.purpose.clone(),
                row.may_include.to_string(),
                row.required.to_string(),
                row.listing.to_owned(),
            ];
            out.push_str(&cells.map(|cell| csv_cell(&cell)).join(","));
            out.push_str("\r\n");
        }
        out
    }

    /// JSON, for other programs.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    /// A page of its own, to print: no script, nothing loaded from elsewhere.
    pub fn to_html(&self) -> String {
        let headings: String = HEADINGS.iter().map(|h| format!("<th scope=\"col\">{h}</th>")).collect();
        let rows: String = self
            .rows
            .iter()
            .map(|row| {
                let cells: String =
                    cells(row).iter().map(|cell| format!("<td>{}</td>", markup(cell))).collect();
                format!("<tr>{cells}</tr>\n")
            })
            .collect();
        let rows = if rows.is_empty() {
            "<tr><td colspan=\"5\">No disclosures in this period.</td></tr>\n".to_owned()
        } else {
            rows
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>Accounting of disclosures</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <h1>Accounting of disclosures</h1>\n<p>Record of: {}<br>Period: {} to {}</p>\n\
             <table>\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n\
             </body>\n</html>\n",
            markup(&self.patient.id),
            self.from,
            self.until
        )
    }
}

const STYLE: &str = "body { font: 11pt/1.4 serif; margin: 2cm; color: black; background: white }
h1 { font-size: 16pt }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #666; padding: 4pt 6pt; text-align: left; vertical-align: top; overflow-wrap: anywhere }
thead { display: table-header-group }
tr { break-inside: avoid }
";

fn cells(row: &Row) -> [String; 5] {
    let date = match &row.last_date {
        Some(last) => format!("{} (first of {}; last {last})", row.date, row.count),
        None => row.date.clone(),
    };
    let certainty = if row.may_include { ", which may include yours" } else { "" };
    [
        date,
        row.recipient.clone(),
        format!("{}{certainty}", row.what),
        row.purpose.clone(),
        row.listing.to_owned(),
    ]
}

fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Quoted always; an apostrophe before what a spreadsheet would compute.
fn csv_cell(text: &str) -> String {
    let text = printable(text);
    let formula = text.starts_with(['=', '+', '-', '@']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}
