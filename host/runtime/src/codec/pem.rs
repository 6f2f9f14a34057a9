//! RFC 7468 blocks as a list of `{label, content}`. Text between blocks is no data and is left out.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pem::{EncodeConfig, LineEnding, Pem};
use serde_json::{Value, json};

use super::CodecError;
use crate::hook::Form;

pub(super) fn parse(text: &str) -> Result<Value, CodecError> {
    let blocks = pem::parse_many(text).map_err(|_| error("this is no PEM"))?;
    if blocks.is_empty() || blocks.len() != text.matches("-----BEGIN ").count() {
        return Err(error("there is no PEM block, or one that does not end"));
    }
    let blocks = blocks.iter().map(|block| match block.headers().iter().next() {
        // They say how a key is encrypted; without them its content is lost.
        Some(_) => Err(error("a block has headers")),
        None => Ok(json!({"label": block.tag(), "content": STANDARD.encode(block.contents())})),
    });
    blocks.collect()
}

pub(super) fn render(document: &Value) -> Result<String, CodecError> {
    let items = document.as_array().filter(|items| !items.is_empty()).ok_or_else(|| error("a list of blocks is expected"))?;
    items.iter().map(block).collect()
}

fn block(item: &Value) -> Result<String, CodecError> {
    let field = |name| item.get(name).and_then(Value::as_str);
    let (Some(label), Some(content), Some(2)) = (field("label"), field("content"), item.as_object().map(serde_json::Map::len)) else {
        return Err(error("a block is an object of `label` and `content`, both strings"));
    };
    // RFC 7468 section 3: printable, single spaces or hyphens between words; fewer marks than it allows.
    if label.is_empty()
        || label.starts_with(' ')
        || label.ends_with(' ')
        || !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
    {
        return Err(error("a label has words of letters and digits only"));
    }
    let content = STANDARD.decode(content).map_err(|_| error("a content is no base64"))?;
    Ok(pem::encode_config(&Pem::new(label, content), EncodeConfig::new().set_line_ending(LineEnding::LF)))
}

fn error(problem: &'static str) -> CodecError {
    CodecError::new(Form::Pem, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_bundle_and_leaves_the_text_between() {
        let text = "subject=x\n-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\r\nmore\n-----BEGIN PRIVATE KEY-----\nAwQ=\n-----END PRIVATE KEY-----\n";
        assert_eq!(parse(text), Ok(json!([{"label": "CERTIFICATE", "content": "AAEC"}, {"label": "PRIVATE KEY", "content": "AwQ="}])));
    }

    #[test]
    fn refuses_what_would_be_lost() {
        let encrypted =
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAEC\n-----END RSA PRIVATE KEY-----\n";
        assert!(parse(encrypted).is_err() && parse("").is_err() && parse("-----BEGIN A-----\nAAEC\n").is_err());
    }

    #[test]
    fn a_label_cannot_forge_a_block() {
        for label in ["", " A", "A-----\n-----BEGIN B", "A\n"] {
            assert!(render(&json!([{"label": label, "content": "AAEC"}])).is_err());
        }
        assert!(render(&json!([{"label": "A", "content": "A!"}])).is_err() && render(&json!([{"label": "A"}])).is_err());
    }
}
