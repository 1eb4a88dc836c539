//! The workers of `examples/`: where they are, and how they are made to work otherwise.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Result, ensure};
use local_stack::Language;

use super::Work;

/// The example of a worker.
pub(super) fn script(language: Language) -> &'static str {
    match language {
        Language::Python => "examples/python/worker.py",
        Language::Asyncio => "examples/python/asyncio_worker.py",
        Language::Flask => "examples/flask/worker.py",
        Language::Node => "examples/node/worker.mjs",
        Language::Shell => "examples/shell/worker.sh",
        Language::Go => "examples/go/worker.go",
    }
}

/// What in the example is replaced by what, so that it works so.
pub(super) fn change(language: Language, work: Work) -> Option<(&'static str, &'static str)> {
    let (right, slow, wrong) = match language {
        Language::Python | Language::Flask => (
            r#"return {"shouted": message["message_id"]"#,
            r#"time.sleep(0.02); return {"shouted": message["message_id"]"#,
            r#"return {"shouted": message["text"]"#,
        ),
        Language::Asyncio => (
            r#"return {"shouted": message["message_id"]"#,
            r#"await asyncio.sleep(0.02); return {"shouted": message["message_id"]"#,
            r#"return {"shouted": message["text"]"#,
        ),
        Language::Node => (
            "return { shouted: message.message_id",
            "await sleep(20); return { shouted: message.message_id",
            "return { shouted: message.text",
        ),
        Language::Shell => (
            "jq -c '{shouted: .message_id",
            "sleep 0.02; jq -c '{shouted: .message_id",
            "jq -c '{shouted: .text",
        ),
        Language::Go => (
            r#"text, isText := message["message_id"]"#,
            r#"time.Sleep(20 * time.Millisecond); text, isText := message["message_id"]"#,
            r#"text, isText := message["text"]"#,
        ),
    };
    match work {
        Work::AsItIs => None,
        Work::Slowly => Some((right, slow)),
        Work::OnText => Some((right, wrong)),
    }
}

/// Compiles a program, one at a time: the first compiles the standard library.
pub(super) fn compile(go: &Path, source: &Path, directory: &Path) -> Result<PathBuf> {
    static COMPILER: Mutex<()> = Mutex::new(());
    let _turn = COMPILER.lock().unwrap_or_else(PoisonError::into_inner);
    let program = directory.join("worker");
    let built = Command::new(go)
        .arg("build")
        .arg("-o")
        .args([&program, source])
        .current_dir(directory)
        .output()?;
    let said = String::from_utf8_lossy(&built.stderr);
    ensure!(built.status.success(), "go build says: {said}");
    Ok(program)
}
