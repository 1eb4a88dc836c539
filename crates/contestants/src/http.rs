//! As much of HTTP/1.1 as a worker by hand needs.

use std::{
    io::{BufRead, Read, Write},
    net::TcpStream,
};

use anyhow::{Result, ensure};
use serde_json::json;

/// Becomes a member of the group.
pub(crate) fn join(group_port: u16, consumer_id: &str) -> Result<()> {
    let body = json!({ "consumer_id": consumer_id }).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", group_port))?;
    write!(
        stream,
        "POST /register HTTP/1.1\r\nhost: 127.0.0.1:{group_port}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(
        answer.starts_with("HTTP/1.1 200 "),
        "the group answers: {answer}"
    );
    Ok(())
}

/// Reads the next request or answer, its body in place of what `body` holds; answers its first line, or `None` at the end
/// of the connection.
pub(crate) fn read(from: &mut impl BufRead, body: &mut Vec<u8>) -> Result<Option<String>> {
    let mut first = String::new();
    if from.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        from.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse()?;
            }
            Some(_) => {}
        }
    }
    body.resize(length, 0);
    from.read_exact(body)?;
    Ok(Some(first))
}

/// The path in the first line of a request.
pub(crate) fn path(first: &str) -> &str {
    first.split(' ').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_a_connection_are_read_one_by_one() {
        let text = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n\
                    POST /processMessage HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
        let (mut requests, mut body) = (text.as_bytes(), vec![1]);
        let first = read(&mut requests, &mut body).unwrap().unwrap();
        assert_eq!((path(&first), &body[..]), ("/health", &b""[..]));
        let first = read(&mut requests, &mut body).unwrap().unwrap();
        assert_eq!((path(&first), &body[..]), ("/processMessage", &b"{}"[..]));
        assert_eq!(read(&mut requests, &mut body).unwrap(), None);
    }
}
