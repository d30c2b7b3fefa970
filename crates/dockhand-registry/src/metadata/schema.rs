//! The tables, as the sum of the migrations that made them.
//!
//! A migration is never changed once it is released: a change is another one at the end.
//!
//! What comes later fits without a rewrite: collection turns the state of a `blob` and adds a lease
//! to `repository_blob`; quotas count on `repository`; events are an outbox beside `tag_event`;
//! accounts own repositories by their id.

/// Every migration, in order. Each runs in one transaction that also counts `store.format` up.
pub(super) const MIGRATIONS: [&str; 3] = [FIRST, CUT_PUT, UPLOAD_CLIENT];

/// The format that this program reads and writes.
pub(super) const FORMAT: i64 = MIGRATIONS.len() as i64;

/// The state of a blob whose bytes may be read.
pub(super) const BLOB_LIVE: i64 = 1;

/// A referrer by its own `subject`.
pub(super) const REFERRER_NATIVE: i64 = 1;
/// A referrer by an index under a tag of the referrers tag schema.
pub(super) const REFERRER_BY_TAG: i64 = 2;

const FIRST: &str = "
-- One row: what this database is. `probed` is written by the readiness probe.
CREATE TABLE store (
    one <int> NOT NULL PRIMARY KEY CHECK (one = 1),
    id <text> NOT NULL,
    format <int> NOT NULL,
    created <int> NOT NULL,
    probed <int> NOT NULL
) <heap>;

-- `manifests` is how many it has now: NULL when it never had one, which is not the same as 0.
CREATE TABLE repository (
    id <id>,
    name <text> NOT NULL UNIQUE,
    manifests <int>,
    created <int> NOT NULL
) <heap>;
CREATE INDEX repository_listed ON repository (name) WHERE manifests > 0;

-- A row per generation of a blob's bytes. It stays when the bytes go, so that no generation, and
-- with it no key, is ever used twice. At most one generation is live.
CREATE TABLE blob (
    digest <bytes> NOT NULL,
    generation <int> NOT NULL,
    key <text> NOT NULL,
    size <int> NOT NULL,
    state <int> NOT NULL,
    created <int> NOT NULL,
    PRIMARY KEY (digest, generation)
) <keyed>;
CREATE UNIQUE INDEX blob_live ON blob (digest) WHERE state = 1;

-- Which repository has which blob: by digest, so that bytes which are pushed again are there for all.
CREATE TABLE repository_blob (
    repository <int> NOT NULL REFERENCES repository (id),
    digest <bytes> NOT NULL,
    linked <int> NOT NULL,
    PRIMARY KEY (repository, digest)
) <keyed>;
CREATE INDEX repository_blob_by_digest ON repository_blob (digest, repository);

-- Bytes exactly as pushed. They come last: what stands before them is read without them.
CREATE TABLE manifest (
    id <id>,
    repository <int> NOT NULL REFERENCES repository (id),
    digest <bytes> NOT NULL,
    media_type <text> NOT NULL,
    size <int> NOT NULL,
    artifact_type <text>,
    subject <bytes>,
    created <int> NOT NULL,
    bytes <bytes> NOT NULL,
    UNIQUE (repository, digest)
) <heap>;

-- What a manifest needs: blobs, or manifests (kind 3).
CREATE TABLE manifest_edge (
    parent <int> NOT NULL REFERENCES manifest (id),
    child <bytes> NOT NULL,
    kind <int> NOT NULL,
    repository <int> NOT NULL,
    PRIMARY KEY (parent, child, kind)
) <keyed>;
CREATE INDEX manifest_edge_by_child ON manifest_edge (child, repository, kind);

-- What refers to a subject, which need not exist. `source` says why: 1 its own field, 2 a tag.
CREATE TABLE referrer (
    id <id>,
    repository <int> NOT NULL REFERENCES repository (id),
    subject <bytes> NOT NULL,
    digest <bytes> NOT NULL,
    source <int> NOT NULL,
    artifact_type <text>,
    annotations <text>,
    UNIQUE (repository, subject, digest)
) <heap>;
CREATE INDEX referrer_by_type ON referrer (repository, subject, artifact_type, digest);
CREATE INDEX referrer_by_tag ON referrer (repository, subject) WHERE source = 2;

CREATE TABLE tag (
    repository <int> NOT NULL REFERENCES repository (id),
    name <text> NOT NULL,
    manifest <int> NOT NULL REFERENCES manifest (id),
    version <int> NOT NULL,
    updated <int> NOT NULL,
    PRIMARY KEY (repository, name)
) <keyed>;
CREATE INDEX tag_by_manifest ON tag (manifest);

-- Every change of every tag; rows are only ever added. `digest` is NULL when it was deleted.
CREATE TABLE tag_event (
    repository <int> NOT NULL REFERENCES repository (id),
    name <text> NOT NULL,
    version <int> NOT NULL,
    digest <bytes>,
    previous <bytes>,
    at <int> NOT NULL,
    PRIMARY KEY (repository, name, version)
) <keyed>;

-- An upload that is open: what is durable of it, and its hash behind those bytes.
CREATE TABLE upload (
    id <text> NOT NULL PRIMARY KEY,
    repository <int> NOT NULL REFERENCES repository (id),
    epoch <int> NOT NULL,
    length <int> NOT NULL,
    notes <bytes> NOT NULL,
    hash <bytes> NOT NULL,
    started <int> NOT NULL,
    touched <int> NOT NULL
) <keyed>;
CREATE INDEX upload_by_repository ON upload (repository);
CREATE INDEX upload_by_touched ON upload (touched);
";

/// Whether all bytes of an upload came by finishing requests that were cut.
const CUT_PUT: &str = "ALTER TABLE upload ADD COLUMN cut_put <int> NOT NULL DEFAULT 0;";

/// Who began an upload, and what is counted and dropped per client. Empty: not known.
const UPLOAD_CLIENT: &str = "
ALTER TABLE upload ADD COLUMN client <text> NOT NULL DEFAULT '';
DROP INDEX upload_by_repository;
CREATE INDEX upload_by_repository ON upload (repository, client, length, touched);
CREATE INDEX upload_by_client ON upload (client, length, touched);
";
