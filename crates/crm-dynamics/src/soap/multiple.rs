//! Several requests in one message, answered one by one (Dynamics page 13.2, ExecuteMultiple). Each is a transaction of
//! its own, and the others go on when one fails.

use super::envelope::{
    CONTRACTS, MULTIPLE, close_parameter, execute, executed, is_nil, open_parameter, results,
};
use super::fault::{self, Fault};
use crm_core::{Error, ErrorKind, Result};
use crm_xml::{Reader, Writer};

/// Requests that one message takes.
pub(crate) const LARGEST: usize = 1_000;

/// Begins a message; requests are written into it.
pub(crate) fn begin() -> Writer {
    let mut writer = execute("b:ExecuteMultipleRequest");
    open_parameter(&mut writer, "Requests", "n:OrganizationRequestCollection");
    writer
}

/// Begins a request; its parameters are written into it, and `envelope::request_end` ends it.
pub(crate) fn open_request(writer: &mut Writer, request_type: &str) {
    writer.open("n:OrganizationRequest", &[("i:type", request_type)]);
    writer.open("b:Parameters", &[]);
}

/// Ends a message.
///
/// # Errors
/// When a value holds a character that XML cannot carry.
pub(crate) fn end(mut writer: Writer) -> Result<String> {
    close_parameter(&mut writer);
    open_parameter(&mut writer, "Settings", "n:ExecuteMultipleSettings");
    writer.leaf("n:ContinueOnError", &[], "true");
    writer.leaf("n:ReturnResponses", &[], "true");
    close_parameter(&mut writer);
    executed(writer, "ExecuteMultiple")
}

/// Reads the answers: `each` gets a request's place and the reader where its results have just been opened, which it
/// must close. Gives the fault of each request that has one.
///
/// # Errors
/// [`ErrorKind::Undecodable`] when the message is malformed, or does not tell of every request once.
pub(crate) fn answers<'i>(
    body: &'i [u8],
    n_requests: usize,
    mut each: impl FnMut(usize, &mut Reader<'i>) -> Result<()>,
) -> Result<Vec<Option<Fault>>> {
    let mut faults = vec![None; n_requests];
    let mut told = vec![false; n_requests];
    results(body, |key, reader| {
        if key != "Responses" {
            return reader.skip();
        }
        while reader.child_named(MULTIPLE, "ExecuteMultipleResponseItem")? {
            let (at, fault) = item(reader, n_requests, &mut each)?;
            match told.get_mut(at) {
                Some(told) if !*told => *told = true,
                _ => {
                    return Err(
                        reader.refuse("it answers a request twice, or one that was not made")
                    );
                }
            }
            faults[at] = fault;
        }
        Ok(())
    })?;
    let n_told = told.iter().filter(|told| **told).count();
    if n_told == n_requests {
        return Ok(faults);
    }
    Err(Error::new(
        ErrorKind::Undecodable,
        format!("the reply answers {n_told} of {n_requests} requests"),
    ))
}

/// One answer. The place stands behind the fault and before the response, by the alphabet.
fn item<'i>(
    reader: &mut Reader<'i>,
    n_requests: usize,
    each: &mut impl FnMut(usize, &mut Reader<'i>) -> Result<()>,
) -> Result<(usize, Option<Fault>)> {
    let (mut at, mut fault) = (None, None);
    while reader.child()? {
        match reader.name() {
            (MULTIPLE, "Fault") if !is_nil(reader)? => {
                let mut told = Fault::default();
                fault::read_told(reader, &mut told)?;
                fault = Some(told);
            }
            (MULTIPLE, "RequestIndex") => at = reader.text()?.trim().parse::<usize>().ok(),
            (MULTIPLE, "Response") if !is_nil(reader)? => {
                let at = at.filter(|at| *at < n_requests);
                let at =
                    at.ok_or_else(|| reader.refuse("it answers a request that was not made"))?;
                while reader.child()? {
                    if reader.name() == (CONTRACTS, "Results") {
                        each(at, reader)?;
                    } else {
                        reader.skip()?;
                    }
                }
            }
            _ => reader.skip()?,
        }
    }
    let at = at.ok_or_else(|| reader.refuse("an answer does not say to which request"))?;
    Ok((at, fault))
}

#[cfg(test)]
mod tests {
    use super::super::envelope::{pairs, parameter, request_end};
    use super::*;

    /// An answer with these items.
    pub(crate) fn answer(items: &str) -> String {
        format!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><ExecuteResponse xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><ExecuteResult i:type="b:ExecuteMultipleResponse" xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic" xmlns:n="{MULTIPLE}" xmlns:g="http://schemas.microsoft.com/2003/10/Serialization/"><b:ResponseName>ExecuteMultiple</b:ResponseName><b:Results><b:KeyValuePairOfstringanyType><c:key>IsFaulted</c:key><c:value>true</c:value></b:KeyValuePairOfstringanyType><b:KeyValuePairOfstringanyType><c:key>Responses</c:key><c:value i:type="n:OrganizationResponseCollection">{items}</c:value></b:KeyValuePairOfstringanyType></b:Results></ExecuteResult></ExecuteResponse></s:Body></s:Envelope>"#
        )
    }

    const CREATED: &str = r#"<n:ExecuteMultipleResponseItem><n:Fault i:nil="true"/><n:RequestIndex>1</n:RequestIndex><n:Response i:type="b:CreateResponse"><b:ResponseName>Create</b:ResponseName><b:Results><b:KeyValuePairOfstringanyType><c:key>id</c:key><c:value i:type="g:guid">c4944f99-b5a0-e311-b64f-6c3be5a87df0</c:value></b:KeyValuePairOfstringanyType></b:Results></n:Response></n:ExecuteMultipleResponseItem>"#;
    const REFUSED: &str = r#"<n:ExecuteMultipleResponseItem><n:Fault><b:ErrorCode>-2147220937</b:ErrorCode><b:ErrorDetails/><b:Message>Cannot insert duplicate key.</b:Message></n:Fault><n:RequestIndex>0</n:RequestIndex><n:Response i:nil="true"/></n:ExecuteMultipleResponseItem>"#;

    #[test]
    fn each_request_has_its_answer() {
        let body = answer(&format!("{CREATED}{REFUSED}"));
        let mut ids = Vec::new();
        let faults = answers(body.as_bytes(), 2, |at, reader| {
            pairs(reader, |key, reader| {
                ids.push((at, key.to_owned(), reader.text()?.into_owned()));
                Ok(())
            })
        })
        .unwrap();
        assert_eq!(
            ids,
            [(
                1,
                "id".to_owned(),
                "c4944f99-b5a0-e311-b64f-6c3be5a87df0".to_owned()
            )]
        );
        assert_eq!(faults[0].as_ref().unwrap().number, -2_147_220_937);
        assert!(faults[1].is_none());
    }

    #[test]
    fn answers_that_are_not_one_for_each_are_refused() {
        for (items, n_requests) in [
            (CREATED.to_owned(), 2),
            (format!("{CREATED}{REFUSED}{CREATED}"), 2),
            (format!("{CREATED}{REFUSED}"), 1),
            (CREATED.replace("<n:RequestIndex>1</n:RequestIndex>", ""), 1),
            (REFUSED.replace("<n:RequestIndex>0", "<n:RequestIndex>x"), 1),
        ] {
            let body = answer(&items);
            let error =
                answers(body.as_bytes(), n_requests, |_, reader| reader.skip()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Undecodable, "{items}");
        }
    }

    #[test]
    fn requests_in_one_message() {
        let mut writer = begin();
        for name in ["a", "b"] {
            open_request(&mut writer, "b:DeleteRequest");
            parameter(&mut writer, "Target", "x:string", name);
            request_end(&mut writer, "Delete");
        }
        let body = end(writer).unwrap();
        assert_eq!(
            body.matches("<n:OrganizationRequest i:type=\"b:DeleteRequest\">")
                .count(),
            2
        );
        assert!(body.contains("<n:ContinueOnError>true</n:ContinueOnError>"));
        assert!(
            body.ends_with("<b:RequestName>ExecuteMultiple</b:RequestName></request></Execute>")
        );
    }
}
