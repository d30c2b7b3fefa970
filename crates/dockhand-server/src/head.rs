//! The size of the head of a request, which hyper bounds only together with its buffer for bodies.

use http::Request;

/// The head of a request is larger than the connection takes.
/// <https://www.rfc-editor.org/rfc/rfc6585#section-5>
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "the head of the request has {size} bytes, and at most {limit} are taken here; send fewer or shorter headers"
)]
pub(crate) struct HeadTooLarge {
    /// What it has, in bytes.
    size: usize,
    /// The limit, in bytes.
    limit: usize,
}

/// Notes on a request that its head is too large, for the application to refuse it.
pub(crate) fn note<B>(request: &mut Request<B>, limit: usize) {
    let size = size(request);
    if size > limit {
        request
            .extensions_mut()
            .insert(HeadTooLarge { size, limit });
    }
}

/// Bytes of the head as HTTP/1 writes it. Spaces that it may have had besides are not counted: they are
/// gone, and were bounded by the buffer.
fn size<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let scheme = uri
        .scheme_str()
        .map_or(0, |scheme| scheme.len() + "://".len());
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let method = request.method().as_str().len();
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + ": \r\n".len() + value.len());
    let line = method + scheme + authority + path + "  HTTP/1.1\r\n".len();
    line + headers.sum::<usize>() + "\r\n".len()
}
