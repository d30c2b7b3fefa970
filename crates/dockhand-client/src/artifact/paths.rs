//! Where the files of an artifact may lie: below the folder that was named, whatever their titles say.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use tokio::fs;

use crate::{Error, ErrorKind, Result};

/// The title of a file that is pushed: its path as it was written, or its name alone where that path makes
/// no sense elsewhere.
pub(super) fn title(path: &Path) -> Result<String> {
    let title = match is_inside(path) {
        true => { path.to_str() }.filter(|_| path.file_name().is_some()),
        false => path.file_name().and_then(OsStr::to_str),
    };
    let Some(title) = title else {
        let message = format!("{} has no name that makes sense elsewhere", path.display());
        let hint = "name a file whose name is text";
        return Err(Error::new(ErrorKind::Invalid, message).with_hint(hint));
    };
    let title = title.trim_start_matches("./");
    Ok(title.trim_end_matches('/').to_owned())
}

/// Whether a folder can be unpacked to `path`: nothing is there, or a folder with nothing in it.
pub(super) fn is_free(path: &Path) -> Result<bool> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(Error::io(path, error)),
        Ok(found) if !found.is_dir() => return Ok(false),
        Ok(_) => {}
    }
    let mut entries = path.read_dir().map_err(|error| Error::io(path, error))?;
    Ok(entries.next().is_none())
}

/// The path of `title` below `folder`.
pub(super) fn inside(folder: &Path, title: &str) -> Result<PathBuf> {
    let path = Path::new(title);
    let strange = title.is_empty() || title.contains('\0') || title.contains('\\');
    if strange || !is_inside(path) || path.file_name().is_none() {
        let message =
            format!("the artifact has a file called {title:?}, which is not below the folder");
        return Err(Error::new(ErrorKind::Unsafe, message));
    }
    let normal = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    Ok(folder.join(normal.collect::<PathBuf>()))
}

/// Whether a path stays below where it begins.
fn is_inside(path: &Path) -> bool {
    let stays = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    path.components().all(stays)
}

/// Makes the folders above `path`, none of which may be a link that leads out of `folder`.
pub(super) async fn make_parents(folder: &Path, path: &Path) -> Result<()> {
    let failed = |at: &Path| {
        let at = at.to_owned();
        move |error| Error::io(&at, error)
    };
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(folder).await.map_err(failed(folder))?;
    let real = fs::canonicalize(folder).await.map_err(failed(folder))?;
    let mut at = folder.to_owned();
    for part in parent
        .strip_prefix(folder)
        .unwrap_or(Path::new(""))
        .components()
    {
        at.push(part);
        match fs::create_dir(&at).await {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::io(&at, error));
            }
            _ => {}
        }
        let leads_to = fs::canonicalize(&at).await.map_err(failed(&at))?;
        if !leads_to.starts_with(&real) {
            let message = format!("{} is a link that leads out of the folder", at.display());
            return Err(Error::new(ErrorKind::Unsafe, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_stay_below_the_folder() {
        for (title, expected) in [
            ("a", Some("out/a")),
            ("a/b.txt", Some("out/a/b.txt")),
            ("./a", Some("out/a")),
            ("", None),
            (".", None),
            ("..", None),
            ("../a", None),
            ("a/../../b", None),
            ("/etc/passwd", None),
            ("a\\..\\b", None),
            ("a\0b", None),
        ] {
            let path = inside(Path::new("out"), title).ok();
            assert_eq!(path.as_deref(), expected.map(Path::new), "{title:?}");
        }
    }

    #[test]
    fn a_pushed_path_must_make_sense_elsewhere() {
        for (path, expected) in [
            ("./a/b", "a/b"),
            ("./a/b/", "a/b"),
            ("/tmp/a", "a"),
            ("../a", "a"),
            ("b/../a", "a"),
        ] {
            assert_eq!(title(Path::new(path)).unwrap(), expected, "{path}");
        }
        for path in ["/", "..", "a/..", ".", "./", ""] {
            assert_eq!(
                title(Path::new(path)).unwrap_err().kind(),
                ErrorKind::Invalid
            );
        }
    }
}
