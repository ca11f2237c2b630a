//! The page that `make bench` writes: several programs do, one after the other.

/// The page with this section, whose first line is its heading: in the place of an older one, else at the end.
pub fn with_section(page: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let (before, old) = match format!("\n{page}").find(&format!("\n{heading}\n")) {
        Some(start) => page.split_at(start),
        None => (page, ""),
    };
    let after = old.get(heading.len()..).and_then(|rest| rest.find("\n## ").map(|end| &rest[end + 1..]));
    let mut parts = vec![before.trim_end(), section.trim_end()];
    parts.retain(|part| !part.is_empty());
    parts.extend(after.map(str::trim_end));
    parts.join("\n\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_one_before() {
        let section = "## Reads\n\nnew\n";
        let first = with_section("# Benchmarks\n\nwords\n", section);
        assert_eq!(first, "# Benchmarks\n\nwords\n\n## Reads\n\nnew\n");
        let old = "# Benchmarks\n\n## Reads\n\nold\n\n## Other\n\nkept\n";
        assert_eq!(with_section(old, section), "# Benchmarks\n\n## Reads\n\nnew\n\n## Other\n\nkept\n");
        assert_eq!(with_section(&first, section), first);
        assert_eq!(with_section("", section), section);
    }

    #[test]
    fn a_heading_that_begins_alike_is_another_one() {
        let page = "# Benchmarks\n\n## Reads of old\n\nkept\n";
        assert_eq!(with_section(page, "## Reads\n\nnew\n"), format!("{page}\n## Reads\n\nnew\n"));
    }
}
