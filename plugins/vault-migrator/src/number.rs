//! Numbers that KV v2 does not keep: it answers with 64-bit floats.

use cutover_plugin::Response;

/// The public header of a read that tells where in its document such numbers are: a JSON array of pointers (RFC 6901). Of a
/// read of KV v2 they may have been changed, of any other read KV v2 would change them.
const HEADER: &str = "cutover-inexact-numbers";

/// Where in the document of this answer such numbers are.
pub(crate) fn inexact(response: &Response) -> Vec<String> {
    response.header(HEADER).and_then(|places| serde_json::from_str(places).ok()).unwrap_or_default()
}

/// The pointer to a top-level name.
pub(crate) fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}
