//! CSV after RFC 4180.

use super::Table;

pub(super) fn write(table: &Table) -> String {
    let mut out = String::new();
    line(&mut out, table.headings());
    for row in table.rows() {
        line(&mut out, row.iter().map(|cell| cell.raw.as_deref().unwrap_or(&cell.text)));
    }
    out
}

fn line<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use crate::table::{Side, Table};

    #[test]
    fn quotes_only_what_needs_it() {
        let mut table = Table::new([("name", Side::Left), ("value", Side::Right)]);
        table.push(["plain".into(), super::super::value::seconds(0.0413)]);
        table.push(["a, \"b\"\nc".into()]);
        assert_eq!(table.to_csv(), "name,value\nplain,0.0413\n\"a, \"\"b\"\"\nc\",\n");
    }
}
