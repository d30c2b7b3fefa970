//! A shim before the C library of the server: syncs that do nothing, or fail.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::site;
use super::target::{Kind, Target};
use crate::process;

/// One small C file.
const COMPILE: Duration = Duration::from_secs(60);

/// `FAULTS_SWALLOW` says which syncs are swallowed. While the file that `FAULTS_FAIL` names exists,
/// one sync of so many fails.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int swallowed(int fd) {
    const char *what = getenv("FAULTS_SWALLOW");
    struct stat file;
    char link[64], path[4096] = "";
    if (what == NULL || fstat(fd, &file) != 0) return 0;
    if (strcmp(what, "everything") == 0) return 1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0) return 0;
    int metadata = strstr(path, "/dockhand.db") != NULL;
    if (strcmp(what, "metadata") == 0) return metadata;
    if (strcmp(what, "bytes") == 0) return S_ISREG(file.st_mode) && !metadata;
    return 0;
}

static int sync_by(long number, int fd) {
    static int count = 0;
    const char *fail = getenv("FAULTS_FAIL");
    if (swallowed(fd)) return 0;
    if (fail != NULL && access(fail, F_OK) == 0
        && __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) % 50 == 0) {
        errno = EIO;
        return -1;
    }
    return syscall(number, fd);
}

int fsync(int fd) { return sync_by(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }
int syncfs(int fd) { return sync_by(SYS_syncfs, fd); }
"#;

/// The server with the shim before its C library, told what to do by a variable.
///
/// # Errors
/// When `cc` is missing, or whatever cutting the power takes.
pub(crate) fn put_before(
    target: &Target,
    (variable, value): (&str, &OsStr),
    work: &Path,
) -> Result<Target> {
    site::check_can_mount(&["mkfs.ext4", "mount", "cc"])?;
    ensure!(
        target.kind == Kind::Dockhand,
        "the shim is made for dockhand"
    );
    let (source, shim) = (work.join("shim.c"), work.join("shim.so"));
    fs::write(&source, SHIM).with_context(|| source.display().to_string())?;
    let mut compile = Command::new("cc");
    compile
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&shim)
        .arg(&source);
    process::run(&mut compile, COMPILE)?.success()?;
    let set = |name: &str, value: &OsStr| {
        let mut word = OsString::from(format!("{name}="));
        word.push(value);
        word
    };
    let words = [
        "env".into(),
        set("LD_PRELOAD", shim.as_ref()),
        set(variable, value),
    ];
    Ok(Target {
        wrapper: words.to_vec(),
        ..target.clone()
    })
}
