//! The top-down cover against the rules as they are written: layers applied one on the other.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Cover, Says, Sheet, Whiteout};
use crate::filesystem::ImagePath;

/// A member of a layer: its path, and whether it is a directory.
type Member = (String, bool);

/// What is at a path while layers are applied from the bottom up.
#[derive(Clone, Debug, PartialEq)]
enum There {
    File(usize),
    /// With the layer that lists it, when one does.
    Directory(Option<usize>),
}

fn path(text: &str) -> ImagePath {
    text.parse().unwrap()
}

/// What shows, by the specification's procedure: each with the layer that it is from.
fn applied(layers: &[Vec<Member>]) -> BTreeMap<String, usize> {
    let mut tree: BTreeMap<String, There> = BTreeMap::new();
    let below = |tree: &BTreeMap<String, There>, top: &str| -> Vec<String> {
        let inside = |own: &&String| top.is_empty() || own.starts_with(&format!("{top}/"));
        tree.keys().filter(inside).cloned().collect()
    };
    for (place, layer) in layers.iter().enumerate() {
        for (name, _) in layer {
            match Whiteout::of(&path(name)) {
                Some(Whiteout::Path(gone)) => {
                    let gone = gone.to_string()[1..].to_owned();
                    let inside = below(&tree, &gone);
                    tree.retain(|own, _| *own != gone && !inside.contains(own));
                }
                Some(Whiteout::Directory(top)) => {
                    let inside = below(&tree, &top.to_string()[1..]);
                    tree.retain(|own, _| !inside.contains(own));
                }
                _ => {}
            }
        }
        for (name, directory) in layer {
            let mut end = 0;
            while let Some(next) = name[end..].find('/') {
                let parent = &name[..end + next];
                if !matches!(tree.get(parent), Some(There::Directory(_))) {
                    tree.insert(parent.to_owned(), There::Directory(None));
                }
                end += next + 1;
            }
            if Whiteout::of(&path(name)).is_some() {
                continue;
            }
            if !directory {
                let inside = below(&tree, name);
                tree.retain(|own, _| !inside.contains(own));
            }
            let there = match directory {
                true => There::Directory(Some(place)),
                false => There::File(place),
            };
            tree.insert(name.clone(), there);
        }
    }
    let listed = tree.into_iter().filter_map(|(name, there)| match there {
        There::File(place) | There::Directory(Some(place)) => Some((name, place)),
        There::Directory(None) => None,
    });
    listed.collect()
}

/// What shows, from the top down.
fn covered(layers: &[Vec<Member>]) -> (BTreeMap<String, usize>, Cover) {
    let mut cover = Cover::default();
    let mut shown = BTreeMap::new();
    for (place, layer) in layers.iter().enumerate().rev() {
        let mut sheet = Sheet::default();
        for (name, directory) in layer {
            match Whiteout::of(&path(name)) {
                Some(whiteout) => sheet.hides(whiteout),
                None => {
                    if cover.shows(&path(name), *directory) {
                        shown.insert(name.clone(), place);
                    }
                    sheet.has(path(name), *directory);
                }
            }
        }
        cover.put(sheet);
    }
    (shown, cover)
}

/// A layer that a tool could write: nothing in it lies in a file of it.
fn a_layer() -> impl Strategy<Value = Vec<Member>> {
    let part = prop::sample::select(vec!["a", "b", "c"]);
    let directory = prop::collection::vec(part.clone(), 0..3);
    let last = prop_oneof![
        6 => part.clone().prop_map(str::to_owned),
        2 => part.prop_map(|part| format!(".wh.{part}")),
        1 => Just(".wh..wh..opq".to_owned()),
    ];
    let member = (directory, last, any::<bool>()).prop_map(|(directory, last, is_directory)| {
        let whiteout = last.starts_with(".wh.");
        let parts: Vec<String> = { directory.into_iter() }
            .map(str::to_owned)
            .chain([last])
            .collect();
        (parts.join("/"), is_directory && !whiteout)
    });
    prop::collection::vec(member, 0..8).prop_map(|members| {
        let mut kept: BTreeMap<String, bool> = BTreeMap::new();
        for (name, directory) in members {
            let clash = kept.iter().any(|(own, is_directory)| {
                let (inside, around) = (format!("{own}/"), format!("{name}/"));
                (name.starts_with(&inside) && !is_directory)
                    || (own.starts_with(&around) && !directory)
            });
            if !clash {
                kept.entry(name).or_insert(directory);
            }
        }
        kept.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn from_above_is_as_from_below(layers in prop::collection::vec(a_layer(), 0..5)) {
        prop_assert_eq!(covered(&layers).0, applied(&layers));
    }

    #[test]
    fn what_upper_layers_decide_stays_decided(
        layers in prop::collection::vec(a_layer(), 1..5),
        name in "[abc](/[abc]){0,2}",
    ) {
        let whole = covered(&layers).0;
        let (shown, cover) = covered(&layers[1..]);
        match cover.says(&path(&name)) {
            Says::Gone if !shown.contains_key(&name) => prop_assert!(!whole.contains_key(&name)),
            Says::Directory => {
                // Nothing of the lowest layer makes a file of it.
                let file = layers[0].iter().any(|(own, directory)| *own == name && !directory);
                prop_assert!(whole.get(&name) != Some(&0) || !file);
            }
            Says::Gone | Says::Nothing => {}
        }
    }
}

#[test]
fn names_that_hide() {
    for (name, expected) in [
        ("a/.wh.b", Some(Whiteout::Path(path("a/b")))),
        (".wh.b", Some(Whiteout::Path(path("b")))),
        ("a/.wh..wh..opq", Some(Whiteout::Directory(path("a")))),
        (".wh..wh..opq", Some(Whiteout::Directory(path("")))),
        ("a/.wh..wh.aufs", Some(Whiteout::Nothing)),
        (".wh..wh.plnk/1.2", Some(Whiteout::Nothing)),
        ("a/.wh.", Some(Whiteout::Nothing)),
        ("a/.wh..", Some(Whiteout::Nothing)),
        ("a/.wh...", Some(Whiteout::Nothing)),
        ("a/.whale", None),
        ("a.wh.b", None),
        (".wh.a/b", None),
    ] {
        assert_eq!(Whiteout::of(&path(name)), expected, "{name}");
    }
}
