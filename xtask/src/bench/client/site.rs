//! Two servers of CNCF Distribution on empty folders, and what lies between them and the clients.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::super::content::{Stock, digest};
use super::super::wire::Connection;
use super::figure::Who;
use super::image::{self, Image};
use super::programs::{Programs, Ran, Sync, copy, plain_http, pull};
use super::proxy::{Distance, Proxy};
use crate::distribution;
use crate::process::{Server, free_address};

/// It starts in a fraction of this.
const READY: Duration = Duration::from_secs(30);
/// A request is in the log this long after its answer at the latest.
const LOGGED: Duration = Duration::from_millis(200);

/// A registry that logs its requests.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) address: SocketAddr,
    server: Server,
}

impl Registry {
    fn start(program: &Path, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let address = free_address()?;
        let mut command = distribution::serve(program, folder, address, true, None)?;
        let mut server = Server::spawn("Distribution", &mut command)?;
        server.wait_for_http(&format!("http://{address}/v2/"), READY)?;
        Ok(Self { address, server })
    }

    /// How many requests of the API it has answered.
    pub(super) fn requests(&self) -> usize {
        thread::sleep(LOGGED);
        let log = self.server.log();
        let is_request = |line: &&str| line.contains(" /v2/") && line.contains(" HTTP/1.");
        log.lines().filter(is_request).count()
    }

    /// A connection to it, not by way of the proxy.
    pub(super) fn connect(&self) -> Result<Connection> {
        Connection::open(self.address)
    }

    /// An error unless it has the image, whole, as `v1` of a repository.
    pub(super) fn has(&self, repo: &str, image: &Image) -> Result<()> {
        self.has_tag(&mut self.connect()?, repo, "v1", image)
    }

    /// An error unless it has the image, whole, under a tag of a repository.
    pub(super) fn has_tag(
        &self,
        connection: &mut Connection,
        repo: &str,
        tag: &str,
        image: &Image,
    ) -> Result<()> {
        let mut ask = |method: &str, path: &str| {
            let head = format!(
                "{method} /v2/{repo}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
                 Accept: application/vnd.oci.image.manifest.v1+json\r\n\r\n"
            );
            let answer = connection.ask(head.as_bytes())?.expect(200);
            answer.with_context(|| format!("{method} {path} of {repo}, which was copied"))
        };
        let manifest = ask("GET", &format!("manifests/{tag}"))?.body;
        ensure!(
            digest(&manifest) == image.digest,
            "the manifest of {repo}:{tag} became another on its way"
        );
        for blob in &image.blobs {
            ask("HEAD", &format!("blobs/{blob}"))?;
        }
        Ok(())
    }
}

/// What a row needs: the servers, the way to them, and a folder that goes with the row.
#[derive(Debug)]
pub(super) struct Site<'a> {
    /// Where images come from.
    pub(super) source: Registry,
    /// Where they go to.
    pub(super) target: Registry,
    /// The way to the source.
    pub(super) near: Proxy,
    /// The way to the target.
    pub(super) far: Proxy,
    programs: &'a Programs,
    stock: &'a Stock,
    folder: TempDir,
}

impl<'a> Site<'a> {
    /// Starts both servers on empty folders below `place`.
    pub(super) fn start(
        programs: &'a Programs,
        stock: &'a Stock,
        place: &Path,
        distance: Distance,
    ) -> Result<Self> {
        let folder = TempDir::with_prefix_in("dockhand-bench-", place)?;
        let start = |name: &str| Registry::start(&programs.registry, &folder.path().join(name));
        let (source, target) = (start("source")?, start("target")?);
        let near = Proxy::start(source.address, distance)?;
        let far = Proxy::start(target.address, distance)?;
        let hosts = [&near, &far].map(|proxy| proxy.address.to_string());
        plain_http(folder.path(), &hosts)?;
        Ok(Self {
            source,
            target,
            near,
            far,
            programs,
            stock,
            folder,
        })
    }

    /// Makes an image of so many layers of so many bytes, and puts it into a repository of the source as
    /// `v1`.
    pub(super) fn image(&self, repo: &str, layers: usize, size: usize) -> Result<Image> {
        self.tagged(repo, "v1", layers, size)
    }

    /// The same, under a tag.
    pub(super) fn tagged(
        &self,
        repo: &str,
        tag: &str,
        layers: usize,
        size: usize,
    ) -> Result<Image> {
        let mut connection = self.source.connect()?;
        let (name, of) = ((repo, tag), (layers, size));
        image::push(&mut connection, name, self.stock, of, self.folder.path())
            .with_context(|| format!("cannot fill {repo}:{tag}"))
    }

    /// Has a client copy an image from a repository of the source to one of the target.
    pub(super) fn copy(&self, who: Who, repo: &str, to: &str) -> Result<Ran> {
        let (near, far) = (self.near.address, self.far.address);
        let words = copy(who, &format!("{near}/{repo}:v1"), &format!("{far}/{to}:v1"));
        self.run(who, &words)
    }

    /// Has a client copy an image from one repository of the source to another.
    pub(super) fn copy_within(&self, who: Who, repo: &str, to: &str) -> Result<Ran> {
        let host = self.near.address;
        let words = copy(
            who,
            &format!("{host}/{repo}:v1"),
            &format!("{host}/{to}:v1"),
        );
        self.run(who, &words)
    }

    /// Has a client pull an image into an OCI layout, which is checked and removed.
    pub(super) fn pull(&self, who: Who, repo: &str, image: &Image) -> Result<Ran> {
        let layout = self.folder.path().join("layout");
        let from = format!("{}/{repo}:v1", self.near.address);
        let ran = self.run(who, &pull(who, &from, &layout))?;
        let blobs = layout.join("blobs/sha256");
        for wanted in image.blobs.iter().chain([&image.digest]) {
            let name = wanted.trim_start_matches("sha256:");
            let bytes = fs::read(blobs.join(name))
                .with_context(|| format!("{who} has not pulled {wanted}"))?;
            ensure!(digest(&bytes) == *wanted, "{who} has pulled other bytes");
        }
        fs::remove_dir_all(&layout)?;
        Ok(ran)
    }

    /// Runs a client with any words.
    pub(super) fn run(&self, who: Who, words: &[std::ffi::OsString]) -> Result<Ran> {
        self.programs.run(who, words, self.folder.path())
    }

    /// Runs what a client has to keep repositories the same, by its words and the text of its file.
    pub(super) fn run_sync(&self, who: Who, (words, file): &Sync) -> Result<Ran> {
        let folder = self.folder.path();
        fs::write(folder.join("sync.yml"), file)?;
        self.programs.run_sync(who, words, folder)
    }

    /// How many requests both servers have answered.
    pub(super) fn requests(&self) -> usize {
        self.source.requests() + self.target.requests()
    }

    /// How many connections were opened to both servers.
    pub(super) fn connections(&self) -> usize {
        self.near.connections() + self.far.connections()
    }
}

/// Where contents lie, and in words: in memory if there is room, so that the clients are measured and
/// not a disk.
pub(super) fn place(otherwise: PathBuf, needed: u64) -> Result<(PathBuf, &'static str)> {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
    if free >= needed {
        return Ok((memory.to_owned(), "in memory"));
    }
    fs::create_dir_all(&otherwise)?;
    Ok((otherwise, "on disk"))
}
