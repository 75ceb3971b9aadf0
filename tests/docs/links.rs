//! Links between the documents, and their tables of contents.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::{files, pages, root, text};

/// A document without its blocks of code.
fn prose(page: &str) -> String {
    let (page, mut inside) = (text(page), false);
    let mut kept = String::new();
    for line in page.lines() {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        if !inside && !fence {
            kept += line;
            kept.push('\n');
        }
    }
    assert!(!inside, "a block of code has no end");
    kept
}

/// The headings of a document: how deep, what they say, and the anchor that the sites which show
/// them make of it.
fn headings(page: &str) -> Vec<(usize, String, String)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for line in prose(page).lines() {
        let depth = line.bytes().take_while(|byte| *byte == b'#').count();
        let Some(title) = line[depth..].strip_prefix(' ').filter(|_| depth > 0) else { continue };
        let lower = title.to_lowercase();
        let kept = lower.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let count = seen.entry(slug.clone()).or_default();
        let anchor = if *count == 0 { slug } else { format!("{slug}-{count}") };
        *count += 1;
        found.push((depth, title.to_owned(), anchor));
    }
    found
}

/// The targets of the links of a document.
fn targets(page: &str) -> Vec<String> {
    let prose = prose(page);
    // What stands between backticks is code.
    let plain: String = prose.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let links = plain.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    links.map(|(target, _)| target.to_owned()).collect()
}

/// Where a path leads from the folder of a document, with `..` taken away.
fn resolved(page: &str, target: &str) -> String {
    let mut path = PathBuf::new();
    for part in Path::new(page).parent().unwrap().join(target).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{page}: {target} leaves the repository"),
            other => path.push(other),
        }
    }
    path.display().to_string()
}

#[test]
fn every_link_between_documents_resolves() {
    let mut count = 0;
    for page in pages() {
        for target in targets(&page) {
            if target.starts_with("https://") {
                continue;
            }
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { page.clone() } else { resolved(&page, file) };
            assert!(root().join(&file).exists(), "{page}: {target}");
            let found = anchor.is_empty() || headings(&file).iter().any(|(.., a)| a == anchor);
            assert!(found, "{page}: {target} has no such heading");
        }
    }
    assert!(count > 30, "{count} links");
}

#[test]
fn every_page_begins_with_its_table_of_contents() {
    for page in files("docs", ".md") {
        let headings = headings(&page);
        let chapters = headings.iter().filter(|(depth, ..)| *depth == 2);
        let wanted: Vec<String> =
            chapters.map(|(_, title, anchor)| format!("- [{title}](#{anchor})")).collect();
        let page_text = text(&page);
        let head = page_text.split("\n## ").next().unwrap();
        let found: Vec<&str> = head.lines().filter(|line| line.starts_with("- [")).collect();
        assert_eq!(found, wanted, "{page}");
        assert!(wanted.len() > 1, "{page} has chapters");
    }
}
