//! Reading files: TOML with positions and suggestions, and folders of sources in a stable order.

use std::path::{Path, PathBuf};

use assent_policy::{LoadProblem, SourceFile};
use serde::de::DeserializeOwned;

use super::whole_file;

/// The largest file of a deployment that is read, in bytes. Entities are the largest; a hundred
/// thousand of them are about 40 MB.
pub const FILE_MAX_BYTES: u64 = 256 << 20;

/// A path as messages show it.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Reads a text file.
///
/// # Errors
/// When it is missing, too large, or not UTF-8; what to do is in the message.
pub fn read_text(path: &Path) -> Result<String, LoadProblem> {
    let problem = |message: String| whole_file(&shown(path), message);
    let metadata = std::fs::metadata(path)
        .map_err(|error| problem(format!("cannot be read ({error}): expected a file here")))?;
    if metadata.len() > FILE_MAX_BYTES {
        return Err(problem(format!("is larger than {FILE_MAX_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| problem(format!("cannot be read ({error})")))?;
    String::from_utf8(bytes).map_err(|error| {
        problem(format!(
            "is not UTF-8 text (byte {} is the first that is not)",
            error.utf8_error().valid_up_to()
        ))
    })
}

/// Reads a TOML file into a value.
///
/// # Errors
/// With line and column, and for an unknown key the nearest known one.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, LoadProblem> {
    let text = read_text(path)?;
    parse_toml(&shown(path), &text)
}

/// Parses TOML text that came from the file of this name.
///
/// # Errors
/// As [`read_toml`].
pub fn parse_toml<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, LoadProblem> {
    toml::from_str(text).map_err(|error| {
        let (line, column) = error.span().map_or((1, 1), |span| position(text, span.start));
        let message = error.message().trim().replace('\n', "; ");
        let help = suggestion(&message);
        LoadProblem { file: name.to_owned(), line, column, message, help }
    })
}

/// The line and column, from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// For "unknown field `x`, expected one of `a`, `b`": the nearest of them.
fn suggestion(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field ").or_else(|| message.strip_prefix("unknown variant "))?;
    let mut names = rest.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let nearest = nearest(unknown, names)?;
    Some(format!("did you mean `{nearest}`?"))
}

/// The name most like this one, if any is alike.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.7; // below this, suggestions are noise
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The source files with this ending that these paths (files or folders, relative to `root`) name,
/// sorted by path. Folders are read with their subfolders.
///
/// # Errors
/// For each path that is missing, or names nothing with this ending.
pub fn sources(root: &Path, paths: &[PathBuf], ending: &str) -> Result<Vec<SourceFile>, Vec<LoadProblem>> {
    let mut found = vec![];
    let mut problems = vec![];
    for path in paths {
        let path = root.join(path);
        let before = found.len();
        if let Err(problem) = collect(&path, ending, 0, &mut found) {
            problems.push(problem);
        } else if found.len() == before {
            problems.push(whole_file(&shown(&path), format!("holds no file that ends in `{ending}`")));
        }
    }
    found.sort();
    found.dedup();
    let mut sources = vec![];
    for path in found {
        match read_text(&path) {
            Ok(text) => sources.push(SourceFile { name: shown(&path), text }),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

/// How deep folders may be nested. Deeper is a mistake, or a loop of links.
const FOLDERS_MAX: usize = 8;

fn collect(path: &Path, ending: &str, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), LoadProblem> {
    let problem = |message: String| whole_file(&shown(path), message);
    if depth > FOLDERS_MAX {
        return Err(problem(format!("folders are nested more than {FOLDERS_MAX} deep")));
    }
    let metadata = std::fs::metadata(path)
        .map_err(|error| problem(format!("cannot be read ({error}): expected a file or folder here")))?;
    if !metadata.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(|error| problem(format!("cannot be read ({error})")))?;
    for entry in entries {
        let entry = entry.map_err(|error| problem(format!("cannot be read ({error})")))?.path();
        if entry.is_dir() {
            collect(&entry, ending, depth + 1, found)?;
        } else if entry.to_string_lossy().ends_with(ending) {
            found.push(entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its keys matter here")]
    struct Sample {
        listen: String,
        organizations: Vec<String>,
    }

    #[test]
    fn an_unknown_key_is_refused_with_place_and_suggestion() {
        let problem =
            parse_toml::<Sample>("assent.toml", "listen = \"x\"\norganisations = []\n").unwrap_err();
        assert_eq!((problem.line, problem.column), (2, 1));
        assert!(problem.message.contains("organisations"), "{problem:?}");
        assert_eq!(problem.help.as_deref(), Some("did you mean `organizations`?"));
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_place() {
        let problem = parse_toml::<Sample>("assent.toml", "listen = 3\norganizations = []").unwrap_err();
        assert_eq!((problem.line, problem.column), (1, 10));
    }
}
