//! From the bytes of a message to what it says: one pass collects the members, then they are judged together.

use std::borrow::Cow;

use super::fault::{self, Fault, What};
use super::fold::{differs_only_in_case, is_cut_short};
use super::method::{self, Needs};
use super::scan::{Scan, Scanner, Shape, Value};
use super::{Id, Kind, Message, Notification, Outcome, Params, Reference, Rejected, Request, Response, text};

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS: [&str; 4] = ["name", "uri", "arguments", "ref"];
const REFERENCE: [&str; 3] = ["type", "name", "uri"];

/// The members of a message as they were found, not yet judged.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    version: Option<Value<'a>>,
    id: Option<Value<'a>>,
    ids: usize,
    method: Option<Value<'a>>,
    params: Option<FoundParams<'a>>,
    result: Option<Value<'a>>,
    error: Option<Value<'a>>,
    is_error: bool,
}

#[derive(Debug, Default)]
struct FoundParams<'a> {
    raw: &'a str,
    is_object: bool,
    name: Option<Value<'a>>,
    uri: Option<Value<'a>>,
    arguments: Option<Value<'a>>,
    reference: Option<FoundReference<'a>>,
    meta_progress_token: Option<Value<'a>>,
    progress_token: Option<Value<'a>>,
    request_id: Option<Value<'a>>,
    protocol_version: Option<Value<'a>>,
    client_name: Option<Value<'a>>,
    capabilities: Option<Value<'a>>,
}

#[derive(Debug, Default)]
struct FoundReference<'a> {
    kind: Option<Value<'a>>,
    name: Option<Value<'a>>,
    uri: Option<Value<'a>>,
}

impl<'a> Value<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        text::string(self.raw)
    }

    fn object(self) -> Option<&'a str> {
        (self.shape == Shape::Object).then_some(self.raw)
    }

    /// A progress token is a string or a number.
    fn token(self) -> Option<&'a str> {
        matches!(self.shape, Shape::String | Shape::Number).then_some(self.raw)
    }
}

/// Reads the one message that the text is.
pub(super) fn only_message<'a>(scanner: &mut Scanner<'a>, source: &'a str) -> Result<Message<'a>, Rejected> {
    scanner.white_space();
    message(scanner, source, Scanner::end)
}

/// Reads one of several messages, where the scanner stands.
pub(super) fn next_message<'a>(scanner: &mut Scanner<'a>, source: &'a str) -> Result<Message<'a>, Rejected> {
    message(scanner, source, |_| Ok(()))
}

fn message<'a>(
    scanner: &mut Scanner<'a>,
    source: &'a str,
    after: impl FnOnce(&mut Scanner<'a>) -> Scan<()>,
) -> Result<Message<'a>, Rejected> {
    let mut envelope = Envelope::default();
    let start = scanner.at();
    let collected = envelope.collect(scanner);
    let raw = scanner.since(start);
    collected
        .and_then(|()| after(scanner))
        .and_then(|()| envelope.judge(scanner, raw))
        .map_err(|fault| envelope.reject(fault, scanner.is_strict(), source))
}

/// As much of a name as is worth keeping about a message that was refused.
fn for_the_record(name: &str) -> String {
    name.chars().take(Rejected::LONGEST_NAME).collect()
}

/// Whether a value that was read ends there, and is not the beginning of something malformed.
fn ends_value(next: Option<u8>) -> bool {
    matches!(next, Some(b',' | b'}' | b' ' | b'\n' | b'\r' | b'\t'))
}

/// Remembers a key that another reader could take for one of `known`.
fn note_lookalike(scanner: &mut Scanner<'_>, key: &str, raw_key: &str, known: &[&'static str]) {
    let place = scanner.place_of(raw_key).saturating_sub(1);
    for real in known {
        if differs_only_in_case(key, real) {
            scanner.note(What::Lookalike(real), place);
        } else if is_cut_short(key, real) {
            scanner.note(What::CutShort(real), place);
        }
    }
}

impl<'a> Envelope<'a> {
    fn collect(&mut self, scanner: &mut Scanner<'a>) -> Scan<()> {
        let at = scanner.at();
        match scanner.peek() {
            Some(b'{') => {}
            Some(b'[') => {
                return Err(What::from(fault::Envelope::Batch).at(at));
            }
            Some(_) => {
                return scanner.skip().and(Err(What::from(fault::Envelope::NotAnObject).at(at)));
            }
            None => {
                return Err(What::Empty.at(at));
            }
        }
        scanner.members(true, |scanner, raw_key| {
            let key = text::unescape(raw_key);
            match &*key {
                "jsonrpc" => self.version = Some(scanner.value()?),
                "id" => {
                    self.ids += 1;
                    self.id = Some(scanner.value()?).filter(|_| ends_value(scanner.peek()));
                }
                "method" => self.method = Some(scanner.value()?),
                "params" => self.params = Some(FoundParams::collect(scanner)?),
                "result" => self.result = Some(result(scanner, &mut self.is_error)?),
                "error" => self.error = Some(scanner.value()?),
                other => {
                    note_lookalike(scanner, other, raw_key, &ENVELOPE);
                    scanner.skip()?;
                }
            }
            Ok(())
        })
    }

    fn judge(&self, scanner: &Scanner<'a>, raw: &'a str) -> Scan<Message<'a>> {
        if let Some(fault) = scanner.noted() {
            return Err(fault);
        }
        let start = scanner.place_of(raw);
        let fault = |what| Fault { what, at: start };
        if self.version.and_then(Value::text).as_deref() != Some("2.0") {
            return Err(fault(fault::Envelope::Version.into()));
        }
        let kind = match self.method {
            Some(_) if self.result.is_some() || self.error.is_some() => Err(fault::Envelope::MethodAndOutcome.into()),
            Some(method) => self.call(method, scanner.is_strict()),
            None => self.response(scanner.is_strict()),
        }
        .map_err(fault)?;
        let within = |part: &'a str| {
            let from = scanner.place_of(part).saturating_sub(start);
            from..from + part.len()
        };
        let id_at = self.id.map(|id| within(id.raw));
        let request_id_at = match &kind {
            Kind::Notification(Notification { params: Some(Params { request_id: Some(id), .. }), .. }) => {
                Some(within(id.raw()))
            }
            Kind::Request(_) | Kind::Notification(_) | Kind::Response(_) => None,
        };
        Ok(Message { raw, kind, id_at, request_id_at })
    }

    fn call(&self, method: Value<'a>, strict: bool) -> Result<Kind<'a>, What> {
        let method = method.text().ok_or(fault::Envelope::MethodNotString)?;
        if method.contains('\0') {
            return Err(fault::Envelope::MethodWithNul.into());
        }
        if !method::is_known(&method)
            && let Some(real) = method::lookalike(&method)
        {
            return Err(fault::Envelope::MethodCase(real).into());
        }
        let id = match self.id {
            Some(id) => Some(Id::from_raw(id.raw).ok_or(fault::Envelope::Id)?),
            None => None,
        };
        let params = self.params.as_ref().map(|found| found.judge(&method, strict)).transpose()?;
        if strict && params.is_none() && method::needs(&method) != Needs::Nothing {
            return Err(fault::Params::Absent.into());
        }
        match id {
            Some(_) if method::is_notification(&method) => Err(fault::Envelope::NotificationWithId.into()),
            Some(id) => Ok(Kind::Request(Request { id, method, params })),
            None if method::is_request(&method) => Err(fault::Envelope::MissingId.into()),
            None => Ok(Kind::Notification(Notification { method, params })),
        }
    }

    fn response(&self, strict: bool) -> Result<Kind<'a>, What> {
        let outcome = match (self.result, self.error) {
            (Some(_), Some(_)) => return Err(fault::Envelope::ResultAndError.into()),
            (Some(result), None) => Outcome::Result(result.raw),
            (None, Some(error)) => Outcome::Error(error.raw),
            (None, None) => return Err(fault::Envelope::NothingToDo.into()),
        };
        if strict && self.params.is_some() {
            return Err(fault::Envelope::ParamsInResponse.into());
        }
        let unknown_is_fine = !strict && matches!(outcome, Outcome::Error(_));
        let id = match self.id {
            Some(id) if id.shape == Shape::Null && unknown_is_fine => None,
            Some(id) => Some(Id::from_raw(id.raw).ok_or(fault::Envelope::Id)?),
            None if unknown_is_fine => None,
            None => return Err(fault::Envelope::Id.into()),
        };
        Ok(Kind::Response(Response { id, outcome, is_error: self.is_error }))
    }

    /// The refusal, with whatever is known about the message.
    fn reject(&self, fault: Fault, strict: bool, source: &str) -> Rejected {
        let mut rejected = if strict { fault.by_agent(source) } else { fault.by_upstream(source) };
        let id = self.id.filter(|_| self.ids == 1).and_then(|id| Id::from_raw(id.raw));
        rejected.id = id.map(|id| id.raw().to_owned());
        rejected.method = self.method.and_then(Value::text).map(|method| for_the_record(&method));
        let params = self.params.as_ref();
        let target = params.and_then(|params| params.name.or(params.uri));
        rejected.name = target.and_then(Value::text).map(|name| for_the_record(&name));
        rejected
    }
}

/// Reads `result`, and whether it says `"isError": true`.
fn result<'a>(scanner: &mut Scanner<'a>, is_error: &mut bool) -> Scan<Value<'a>> {
    if scanner.peek() != Some(b'{') {
        return scanner.value();
    }
    let start = scanner.at();
    scanner.members(scanner.is_strict(), |scanner, key| {
        let shape = scanner.skip()?;
        if text::unescape(key) == "isError" {
            *is_error = shape == Shape::True;
        }
        Ok(())
    })?;
    Ok(Value { raw: scanner.since(start), shape: Shape::Object })
}

impl<'a> FoundParams<'a> {
    fn collect(scanner: &mut Scanner<'a>) -> Scan<Self> {
        let mut found = Self::default();
        let start = scanner.at();
        if scanner.peek() != Some(b'{') {
            found.raw = scanner.value()?.raw;
            return Ok(found);
        }
        scanner.members(scanner.is_strict(), |scanner, raw_key| {
            let key = text::unescape(raw_key);
            match &*key {
                "name" => found.name = Some(scanner.value()?),
                "uri" => found.uri = Some(scanner.value()?),
                "arguments" => found.arguments = Some(scanner.value()?),
                "ref" => found.reference = Some(FoundReference::collect(scanner)?),
                "_meta" => found.meta_progress_token = member(scanner, "progressToken")?,
                "progressToken" => found.progress_token = Some(scanner.value()?),
                "requestId" => found.request_id = Some(scanner.value()?),
                "protocolVersion" => found.protocol_version = Some(scanner.value()?),
                "clientInfo" => found.client_name = member(scanner, "name")?,
                "capabilities" => found.capabilities = Some(scanner.value()?),
                other => {
                    if scanner.is_strict() {
                        note_lookalike(scanner, other, raw_key, &PARAMS);
                    }
                    scanner.skip()?;
                }
            }
            Ok(())
        })?;
        found.raw = scanner.since(start);
        found.is_object = true;
        Ok(found)
    }

    fn judge(&self, method: &str, strict: bool) -> Result<Params<'a>, What> {
        if !self.is_object {
            return Err(fault::Params::NotAnObject.into());
        }
        if strict {
            self.check(method)?;
        }
        let is_progress = method == "notifications/progress";
        let token = if is_progress { self.progress_token } else { self.meta_progress_token };
        Ok(Params {
            raw: self.raw,
            name: self.name.and_then(Value::text),
            uri: self.uri.and_then(Value::text),
            arguments: self.arguments.and_then(Value::object),
            reference: self.reference.as_ref().and_then(FoundReference::read),
            progress_token: token.and_then(Value::token),
            request_id: self.request_id.and_then(|id| Id::from_raw(id.raw)),
            protocol_version: self.protocol_version.and_then(Value::text),
            client_name: self.client_name.and_then(Value::text),
            capabilities: self.capabilities.and_then(Value::object),
        })
    }

    fn check(&self, method: &str) -> Result<(), fault::Params> {
        if self.arguments.is_some_and(|arguments| arguments.shape != Shape::Object) {
            return Err(fault::Params::NotAnObjectIn("arguments"));
        }
        if method == "notifications/cancelled" && self.request_id.is_some_and(|id| Id::from_raw(id.raw).is_none()) {
            return Err(fault::Params::RequestId);
        }
        match method::needs(method) {
            Needs::Nothing => Ok(()),
            Needs::Name => text_of(self.name, "name").map(drop),
            Needs::Uri => text_of(self.uri, "uri").map(drop),
            Needs::Reference => self.reference.as_ref().ok_or(fault::Params::Missing("ref"))?.check(),
        }
    }
}

/// The text of a member that the gate judges by.
fn text_of<'a>(value: Option<Value<'a>>, member: &'static str) -> Result<Cow<'a, str>, fault::Params> {
    let text = value.ok_or(fault::Params::Missing(member))?.text().ok_or(fault::Params::NotAString(member))?;
    if text.contains('\0') { Err(fault::Params::WithNul(member)) } else { Ok(text) }
}

impl<'a> FoundReference<'a> {
    fn collect(scanner: &mut Scanner<'a>) -> Scan<Self> {
        let mut found = Self::default();
        if scanner.peek() != Some(b'{') {
            scanner.skip()?;
            return Ok(found);
        }
        scanner.members(scanner.is_strict(), |scanner, raw_key| {
            let key = text::unescape(raw_key);
            match &*key {
                "type" => found.kind = Some(scanner.value()?),
                "name" => found.name = Some(scanner.value()?),
                "uri" => found.uri = Some(scanner.value()?),
                other => {
                    if scanner.is_strict() {
                        note_lookalike(scanner, other, raw_key, &REFERENCE);
                    }
                    scanner.skip()?;
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn check(&self) -> Result<(), fault::Params> {
        match self.kind.and_then(Value::text).as_deref() {
            Some("ref/prompt") => text_of(self.name, "ref.name").map(drop),
            Some("ref/resource") => text_of(self.uri, "ref.uri").map(drop),
            _ => Err(fault::Params::ReferenceType),
        }
    }

    fn read(&self) -> Option<Reference<'a>> {
        match &*self.kind?.text()? {
            "ref/prompt" => self.name?.text().map(Reference::Prompt),
            "ref/resource" => self.uri?.text().map(Reference::Resource),
            _ => None,
        }
    }
}

/// Reads a value and gives its member of that name, if it is an object that has it; of duplicates the last.
pub(super) fn member<'a>(scanner: &mut Scanner<'a>, name: &str) -> Scan<Option<Value<'a>>> {
    if scanner.peek() != Some(b'{') {
        scanner.skip()?;
        return Ok(None);
    }
    let mut found = None;
    scanner.members(scanner.is_strict(), |scanner, key| {
        if text::unescape(key) == name {
            found = Some(scanner.value()?);
        } else {
            scanner.skip()?;
        }
        Ok(())
    })?;
    Ok(found)
}
