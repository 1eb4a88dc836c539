//! How messages and ids look in the OpenAPI descriptions; a JSON schema cannot say all that is checked.

use std::borrow::Cow;

use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, ObjectBuilder, RefOr, Schema, SchemaFormat, Type, schema::AdditionalProperties,
    },
};

use crate::{
    ConsumerId, Message,
    message::{MAX_MESSAGE_ID_BYTES, MESSAGE_ID},
};

/// `application/x-ndjson`: one [`Message`] a line.
#[derive(Debug)]
pub struct MessageLines;

/// The longest consumer id: a host name of 253 bytes, a colon, a port.
const MAX_CONSUMER_ID_BYTES: usize = 259;

impl ToSchema for Message {
    fn name() -> Cow<'static, str> {
        "Message".into()
    }
}

impl PartialSchema for Message {
    fn schema() -> RefOr<Schema> {
        let id = text("1 to 256 bytes of UTF-8. A message is recorded once for each id.")
            .min_length(Some(1))
            .max_length(Some(MAX_MESSAGE_ID_BYTES));
        let message = ObjectBuilder::new()
            .description(Some(
                "A JSON object with an id, 1 MiB at most. Any further properties are kept; names \
                 in it may not repeat.",
            ))
            .property(MESSAGE_ID, id)
            .required(MESSAGE_ID)
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .examples([json!({ MESSAGE_ID: "order-7", "amount": 12.5 })]);
        schema(message)
    }
}

impl ToSchema for MessageLines {
    fn name() -> Cow<'static, str> {
        "MessageLines".into()
    }
}

impl PartialSchema for MessageLines {
    fn schema() -> RefOr<Schema> {
        let lines = text(
            "One message a line, as in `Message`. Lines end in a newline, which the last need not \
             have; empty lines are skipped.",
        )
        .format(Some(custom("message-lines")))
        .examples(["{\"message_id\":\"order-7\"}\n{\"message_id\":\"order-8\"}\n"]);
        schema(lines)
    }
}

impl ToSchema for ConsumerId {
    fn name() -> Cow<'static, str> {
        "ConsumerId".into()
    }
}

impl PartialSchema for ConsumerId {
    fn schema() -> RefOr<Schema> {
        let id = text(
            "Where the consumer is reached: `host:port` with a DNS name or an IPv4 address, or \
             `[v6]:port`. Never a URL. The port is 1 to 65535.",
        )
        .format(Some(custom("host-and-port")))
        .max_length(Some(MAX_CONSUMER_ID_BYTES))
        .examples(["127.0.0.1:5001"]);
        schema(id)
    }
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}

fn custom(format: &str) -> SchemaFormat {
    SchemaFormat::Custom(format.to_owned())
}

fn schema(object: ObjectBuilder) -> RefOr<Schema> {
    RefOr::T(Schema::Object(Object::from(object)))
}
