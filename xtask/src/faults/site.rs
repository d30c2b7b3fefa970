//! Where the server's data lies: a folder, a file system whose power can be cut, or a small one.

use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use fastrand::Rng;

use crate::process;

/// `FS_IOC_SHUTDOWN` with `FS_SHUTDOWN_FLAGS_NOLOGFLUSH`: neither data nor journal reach the disk
/// any more. The call is `unsafe` in Rust, so that one of these makes it, when it reads a line.
/// <https://github.com/torvalds/linux/blob/master/fs/ext4/ext4.h>
const CUTTERS: [(&str, &[&str]); 3] = [
    (
        "perl",
        &[
            "-e",
            "open(my $f, '<', $ARGV[0]) or die qq(open: $!); my $how = pack('L', 2); <STDIN>; \
             defined(ioctl($f, 0x8004587D, $how)) or die qq(ioctl: $!)",
        ],
    ),
    (
        "python3",
        &[
            "-c",
            "import fcntl, os, struct, sys; \
             f = os.open(sys.argv[1], os.O_RDONLY); sys.stdin.readline(); \
             fcntl.ioctl(f, 0x8004587D, struct.pack('I', 2))",
        ],
    ),
    ("xfs_io", &["-x"]),
];
/// The line; what `xfs_io` calls it.
const CUT: &[u8] = b"shutdown\n";

/// The image is sparse, and wiped before a third of it is used.
const IMAGE_SIZE: u64 = 2 << 30;
/// How long the file system may be busy after its last user was killed.
const BUSY: Duration = Duration::from_secs(10);
/// mkfs, mount and the like take a fifth of a second on an idle machine.
const TOOL: Duration = Duration::from_secs(60);
/// The orders in which ext4 writes data and metadata; one of them after each wipe.
/// `commit=600` keeps the journal's own timer from saving what nobody synced.
const MOUNTS: [&str; 3] = [
    "loop,commit=600",
    "loop,commit=600,nodelalloc",
    "loop,commit=600,data=writeback",
];

/// Where the data lies.
pub(crate) enum Site {
    /// A folder: what the kernel has taken survives a kill.
    Folder(PathBuf),
    /// A file system in a file: a power cut takes what was not synced.
    Powered(Powered),
}

impl Site {
    /// A folder below `work`.
    pub(crate) fn folder(work: &Path) -> Result<Self> {
        let data = work.join("data");
        fs::create_dir(&data).with_context(|| data.display().to_string())?;
        Ok(Self::Folder(data))
    }

    /// A file system in a file below `work`. Takes root, a loop device, `mkfs.ext4`, and one of perl,
    /// python3 and `xfs_io`.
    pub(crate) fn powered(work: &Path, rng: &mut Rng) -> Result<Self> {
        let cutter = CUTTERS.into_iter().find(|(tool, _)| is_installed(tool));
        let cutter =
            cutter.context("a power cut needs perl, python3 or xfs_io, and none is installed")?;
        let disk = Mount::new(work.join("disk"))?;
        let mut powered = Powered {
            image: work.join("disk.img"),
            disk,
            cutter,
            options: MOUNTS[0],
        };
        powered.format(rng)?;
        Ok(Self::Powered(powered))
    }

    /// The folder for `--data`.
    pub(crate) fn data(&self) -> PathBuf {
        match self {
            Self::Folder(data) => data.clone(),
            Self::Powered(powered) => powered.disk.path.join("data"),
        }
    }

    /// What kind of place this is, for a person.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Folder(_) => "a folder".to_owned(),
            Self::Powered(powered) => format!("ext4 -o {}", powered.options),
        }
    }

    /// Makes ready to cut the power, so that it takes no time when the moment has come.
    pub(crate) fn arm(&self) -> Result<Armed> {
        match self {
            Self::Folder(_) => Ok(Armed(None)),
            Self::Powered(powered) => powered.arm(),
        }
    }

    /// Turns the power on again, after the server was killed.
    pub(crate) fn restore(&mut self) -> Result<()> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Powered(powered) => {
                powered.disk.unmount()?;
                powered.mount()
            }
        }
    }

    /// Begins with nothing again. The server must not run.
    pub(crate) fn wipe(&mut self, rng: &mut Rng) -> Result<()> {
        match self {
            Self::Folder(data) => fs::remove_dir_all(&*data)
                .and_then(|()| fs::create_dir(&*data))
                .with_context(|| format!("{} cannot be wiped", data.display())),
            Self::Powered(powered) => powered.format(rng),
        }
    }
}

/// An ext4 file system in a file.
pub(crate) struct Powered {
    image: PathBuf,
    disk: Mount,
    cutter: (&'static str, &'static [&'static str]),
    options: &'static str,
}

impl Powered {
    fn format(&mut self, rng: &mut Rng) -> Result<()> {
        self.disk.unmount()?;
        let made = fs::File::create(&self.image).and_then(|file| file.set_len(IMAGE_SIZE));
        made.with_context(|| self.image.display().to_string())?;
        run(
            "mkfs.ext4",
            [OsStr::new("-q"), OsStr::new("-F"), self.image.as_os_str()],
        )?;
        self.options = MOUNTS[rng.usize(0..MOUNTS.len())];
        self.mount()
    }

    fn mount(&mut self) -> Result<()> {
        self.disk
            .mount("ext4", self.options, self.image.as_os_str())
    }

    fn arm(&self) -> Result<Armed> {
        let (tool, arguments) = self.cutter;
        let mut command = Command::new(tool);
        command.args(arguments).arg(&self.disk.path);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {tool}"))?;
        Ok(Armed(Some((child, self.disk.path.clone()))))
    }
}

/// A cut that waits for its moment; dropping it calls it off.
pub(crate) struct Armed(Option<(Child, PathBuf)>);

impl Armed {
    /// Whether there is power to cut.
    pub(crate) fn cuts_power(&self) -> bool {
        self.0.is_some()
    }

    /// Cuts the power, while the server still runs.
    pub(crate) fn cut(mut self) -> Result<()> {
        let Some((mut child, path)) = self.0.take() else {
            return Ok(());
        };
        let told = child.stdin.take().map(|mut stdin| stdin.write_all(CUT));
        let told = told.unwrap_or_else(|| Err(ErrorKind::BrokenPipe.into()));
        let begun = Instant::now();
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if begun.elapsed() > BUSY => child.kill()?,
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        told.context("the power cut was called off")?;
        ensure!(status.success(), "the power could not be cut: {status}");
        let takes_writes = fs::write(path.join("probe"), b"x").is_ok();
        ensure!(
            !takes_writes,
            "the power was cut, but the file system still takes writes"
        );
        Ok(())
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A mount point. It is unmounted when this is dropped.
pub(crate) struct Mount {
    /// Where it is.
    pub(crate) path: PathBuf,
    mounted: bool,
}

impl Mount {
    /// Makes the folder; nothing is mounted yet.
    pub(crate) fn new(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self {
            path,
            mounted: false,
        })
    }

    /// Mounts something here.
    pub(crate) fn mount(&mut self, kind: &str, options: &str, source: &OsStr) -> Result<()> {
        let words = ["-t", kind, "-o", options].map(OsStr::new);
        run(
            "mount",
            words.into_iter().chain([source, self.path.as_os_str()]),
        )?;
        self.mounted = true;
        Ok(())
    }

    /// Unmounts what is mounted here.
    pub(crate) fn unmount(&mut self) -> Result<()> {
        let begun = Instant::now();
        while self.mounted {
            match run("umount", [&self.path]) {
                Ok(()) => self.mounted = false,
                Err(error) if begun.elapsed() > BUSY => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            eprintln!("  {} is still mounted: {error:#}", self.path.display());
        }
    }
}

/// Whether a program is in the path.
pub(crate) fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// Checks that this process may mount, and that the tools are there.
///
/// # Errors
/// With everything that is missing.
pub(crate) fn check_can_mount(tools: &[&str]) -> Result<()> {
    let mut missing: Vec<String> = tools
        .iter()
        .filter(|tool| !is_installed(tool))
        .map(|tool| format!("`{tool}`"))
        .collect();
    if !rustix::process::geteuid().is_root() {
        missing.push("root rights".to_owned());
    }
    if tools.contains(&"mkfs.ext4") && !Path::new("/dev/loop-control").exists() {
        missing.push("loop devices (/dev/loop-control)".to_owned());
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "this machine lacks {}; nothing was tested",
        missing.join(", ")
    )
}

/// Runs a tool to its end.
fn run<A: AsRef<OsStr>>(tool: &str, arguments: impl IntoIterator<Item = A>) -> Result<()> {
    let output = process::run(Command::new(tool).args(arguments), TOOL)?;
    output
        .success()
        .map(drop)
        .map_err(|error| anyhow!("{error:#}"))
}
