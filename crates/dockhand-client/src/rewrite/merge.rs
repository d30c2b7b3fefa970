//! What an image says, when its base says something else.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Document;
use super::changes::variable;
use crate::Result;

/// Fields of `config` that are objects, of which each entry counts for itself.
const MAPS: [&str; 3] = ["Labels", "ExposedPorts", "Volumes"];

/// Brings what an image took over from its old base to what its new base says.
pub(super) fn configs(image: &mut Document, old: &Document, new: &Document) -> Result<()> {
    for field in ["os.version", "os.features"] {
        field_of(image, old, new, field)?;
    }
    let [old, new] = [old, new].map(|base| base.get::<Document>("config"));
    let (old, new) = (old?.unwrap_or_default(), new?.unwrap_or_default());
    image.within("config", |run| {
        // Whoever sets what runs sets its arguments with it, or none.
        let runs_the_same = same(run, &old, "Entrypoint")?;
        for field in MAPS {
            map_of(run, &old, &new, field)?;
        }
        env_of(run, &old, &new)?;
        let fields = run.fields().chain(new.fields()).map(str::to_owned);
        let fields: BTreeSet<String> = fields
            .filter(|field| !MAPS.contains(&field.as_str()) && field != "Env")
            .collect();
        for field in fields {
            if field != "Cmd" || runs_the_same {
                field_of(run, &old, &new, &field)?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// A field that the image has as its old base has it becomes as the new base has it.
fn field_of(image: &mut Document, old: &Document, new: &Document, field: &str) -> Result<()> {
    if !same(image, old, field)? {
        return Ok(());
    }
    match new.get::<Box<serde_json::value::RawValue>>(field)? {
        Some(fresh) => image.set(field, &fresh),
        None => {
            image.remove(field);
            Ok(())
        }
    }
}

/// Whether both say the same in a field. To say nothing, `null` and an empty value are one.
fn same(one: &Document, other: &Document, field: &str) -> Result<bool> {
    let said = |document: &Document| -> Result<Option<Value>> {
        let value: Option<Value> = document.get(field)?;
        Ok(value.filter(|value| match value {
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => true,
        }))
    };
    Ok(said(one)? == said(other)?)
}

fn map_of(run: &mut Document, old: &Document, new: &Document, field: &str) -> Result<()> {
    let [old, new] = [old, new].map(|base| base.get::<Document>(field));
    let (old, new) = (old?.unwrap_or_default(), new?.unwrap_or_default());
    run.within(field, |own| {
        let keys: BTreeSet<String> = { old.fields().chain(new.fields()) }
            .map(str::to_owned)
            .collect();
        keys.iter()
            .try_for_each(|key| field_of(own, &old, &new, key))
    })
}

/// The environment: a variable that the old base set, and the image did not change, is the new base's.
fn env_of(run: &mut Document, old: &Document, new: &Document) -> Result<()> {
    let env = |document: &Document| -> Result<Vec<String>> {
        Ok(document.get("Env")?.unwrap_or_default())
    };
    let (own, old, new) = (env(run)?, env(old)?, env(new)?);
    let of = |list: &[String], name: &str| list.iter().find(|line| variable(line) == name).cloned();
    let mut merged = Vec::new();
    for line in &own {
        let name = variable(line);
        match of(&old, name) {
            Some(inherited) if inherited == *line => merged.extend(of(&new, name)),
            _ => merged.push(line.clone()),
        }
    }
    for line in &new {
        let name = variable(line);
        // What the image took away stays away.
        let known = of(&own, name).is_some() || of(&old, name).is_some();
        if !known {
            merged.push(line.clone());
        }
    }
    match merged.is_empty() {
        true => {
            run.remove("Env");
            Ok(())
        }
        false => run.set("Env", &merged),
    }
}
