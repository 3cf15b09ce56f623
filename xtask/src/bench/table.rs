//! A table for people: aligned on a terminal, or Markdown for docs/benchmarks.md.

/// A title, a head, rows of the same width, and remarks below.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) remarks: Vec<String>,
}

impl Table {
    /// For a terminal: the first column to the left, numbers to the right.
    pub(crate) fn text(&self) -> String {
        let widths = self.widths();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let mut text = format!("{}\n{}", self.title, line(&self.head()));
        text.extend(self.rows.iter().map(|row| line(row)));
        text.extend(self.remarks.iter().map(|remark| format!("{remark}\n")));
        text
    }

    /// For a document.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = self.head.iter().enumerate().map(|(column, _)| if column == 0 { "---|" } else { "---:|" });
        let mut text = format!("### {}\n\n{}|{}\n", self.title, line(&self.head()), rule.collect::<String>());
        text.extend(self.rows.iter().map(|row| line(row)));
        text.extend(self.remarks.iter().map(|remark| format!("\n{remark}\n")));
        text
    }

    fn head(&self) -> Vec<String> {
        self.head.iter().map(|&cell| cell.to_owned()).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let of =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        self.head.iter().enumerate().map(|(column, name)| of(column).max(name.chars().count())).collect()
    }
}

/// The middle of the values, the upper one of two; 0 of none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            title: "Small".to_owned(),
            head: vec!["proxy", "us"],
            rows: vec![
                vec!["nginx".to_owned(), "9.02".to_owned()],
                vec!["bascule".to_owned(), "10.1".to_owned()],
            ],
            remarks: vec!["One remark.".to_owned()],
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        assert_eq!(table().text(), "Small\nproxy      us\nnginx    9.02\nbascule  10.1\nOne remark.\n");
    }

    #[test]
    fn markdown_is_a_table_with_a_heading() {
        let expected =
            "### Small\n\n| proxy | us |\n|---|---:|\n| nginx | 9.02 |\n| bascule | 10.1 |\n\nOne remark.\n";
        assert_eq!(table().markdown(), expected);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), 3.0);
        assert_eq!(median(std::iter::empty()), 0.0);
    }
}
