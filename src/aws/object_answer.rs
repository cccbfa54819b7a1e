//! What S3 says of an object along with its bytes, and whether a digest that it names agrees with them.

use aws_sdk_s3::operation::RequestId as _;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::case::event::{Agreement, Exchange, ObjectOrigin};
use crate::model::Sha256Hash;

use super::fetch::Wanted;
use super::objects::timestamp;

/// The prefix of headers that hold an object's own metadata.
const METADATA: &str = "x-amz-meta-";

/// S3's answer to `GetObject`: the body, and what the headers say.
#[derive(Debug, Default)]
pub(super) struct ObjectAnswer {
    pub(super) body: ByteStream,
    pub(super) length: Option<u64>,
    pub(super) version_id: Option<String>,
    pub(super) request_id: Option<String>,
    etag: Option<String>,
    /// By the name of the algorithm, as S3 wrote them.
    checksums: Vec<(&'static str, String)>,
    last_modified: Option<DateTime>,
    storage_class: Option<String>,
    encryption: Option<String>,
    kms_key_id: Option<String>,
    /// Whether it is encrypted under a key that the customer gave.
    customer_key: bool,
    content_type: Option<String>,
    content_encoding: Option<String>,
    metadata: Vec<(String, String)>,
}

impl From<GetObjectOutput> for ObjectAnswer {
    fn from(output: GetObjectOutput) -> Self {
        let checksums = [
            ("crc32", output.checksum_crc32()),
            ("crc32c", output.checksum_crc32_c()),
            ("crc64nvme", output.checksum_crc64_nvme()),
            ("sha1", output.checksum_sha1()),
            ("sha256", output.checksum_sha256()),
        ];
        let text = |value: Option<&str>| value.map(str::to_owned);
        Self {
            length: output.content_length().and_then(|length| u64::try_from(length).ok()),
            version_id: text(output.version_id()),
            request_id: text(output.request_id()),
            etag: text(output.e_tag()),
            checksums: checksums.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))).collect(),
            last_modified: output.last_modified().copied(),
            storage_class: output.storage_class().map(|class| class.as_str().to_owned()),
            encryption: output.server_side_encryption().map(|encryption| encryption.as_str().to_owned()),
            kms_key_id: text(output.ssekms_key_id()),
            customer_key: output.sse_customer_algorithm().is_some(),
            content_type: text(output.content_type()),
            content_encoding: text(output.content_encoding()),
            metadata: output.metadata().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: output.body,
        }
    }
}

impl ObjectAnswer {
    /// Reads an answer that the SDK did not; none where a header comes twice or cannot be read, which the SDK may judge.
    pub(super) fn read(mut response: HttpResponse) -> Option<Self> {
        let mut answer = Self::default();
        let mut previous = "";
        for (name, value) in response.headers() {
            if name == std::mem::replace(&mut previous, name) {
                return None;
            }
            let text = || Some(value.to_owned());
            match name {
                "content-length" => answer.length = Some(value.parse().ok()?),
                "x-amz-version-id" => answer.version_id = text(),
                "x-amz-request-id" => answer.request_id = text(),
                "etag" => answer.etag = text(),
                "x-amz-checksum-crc32" => answer.checksums.push(("crc32", value.to_owned())),
                "x-amz-checksum-crc32c" => answer.checksums.push(("crc32c", value.to_owned())),
                "x-amz-checksum-crc64nvme" => answer.checksums.push(("crc64nvme", value.to_owned())),
                "x-amz-checksum-sha1" => answer.checksums.push(("sha1", value.to_owned())),
                "x-amz-checksum-sha256" => answer.checksums.push(("sha256", value.to_owned())),
                "last-modified" => answer.last_modified = Some(DateTime::from_str(value, Format::HttpDate).ok()?),
                "x-amz-storage-class" => answer.storage_class = text(),
                "x-amz-server-side-encryption" => answer.encryption = text(),
                "x-amz-server-side-encryption-aws-kms-key-id" => answer.kms_key_id = text(),
                "x-amz-server-side-encryption-customer-algorithm" => answer.customer_key = true,
                "content-type" => answer.content_type = text(),
                "content-encoding" => answer.content_encoding = text(),
                _ => {
                    if let Some(name) = name.strip_prefix(METADATA) {
                        answer.metadata.push((name.to_owned(), value.to_owned()));
                    }
                }
            }
        }
        answer.body = ByteStream::new(response.take_body());
        Some(answer)
    }

    /// The body by itself, and the rest.
    pub(super) fn without_body(mut self) -> (ByteStream, Self) {
        (std::mem::take(&mut self.body), self)
    }

    /// The checksums of the whole object that the answer names, by algorithm. Those of its parts end in their number.
    pub(super) fn whole_checksums(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.checksums.iter().filter(|(_, value)| !value.contains('-')).map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether the bytes have the checksums of the whole object that the answer names. What the SDK answered it has checked itself.
    pub(super) fn has_checksums_of(&self, bytes: &[u8]) -> bool {
        self.whole_checksums().all(|(name, value)| {
            let (Ok(algorithm), Ok(named)) = (name.parse::<ChecksumAlgorithm>(), STANDARD.decode(value)) else { return false };
            let mut checksum = algorithm.into_impl();
            checksum.update(bytes);
            checksum.finalize() == named
        })
    }

    /// What the ledger says of the object, but for the digest that AWS holds.
    pub(super) fn origin(&self, wanted: &Wanted, exchange: Exchange) -> ObjectOrigin {
        ObjectOrigin {
            source: wanted.source.to_owned(),
            account: wanted.account,
            region: wanted.region.clone(),
            bucket: wanted.location.bucket.clone(),
            key: wanted.location.key.clone(),
            version_id: self.version_id.clone(),
            etag: self.etag().map(str::to_owned),
            checksums: self.checksums.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            last_modified: self.last_modified.as_ref().and_then(timestamp),
            storage_class: self.storage_class.clone().filter(|class| class != "STANDARD"),
            encryption: self.encryption.clone(),
            kms_key_id: self.kms_key_id.clone(),
            content_type: self.content_type.clone(),
            content_encoding: self.content_encoding.clone(),
            metadata: self.metadata.iter().cloned().collect(),
            aws_digest: Agreement::Absent,
            exchange,
        }
    }

    fn etag(&self) -> Option<&str> {
        self.etag.as_deref().map(|etag| etag.trim_matches('"'))
    }

    /// The entity tag, where it is the MD5 of the object and no checksum says more.
    pub(super) fn md5(&self) -> Option<&str> {
        let keyed = matches!(self.encryption.as_deref(), Some("aws:kms" | "aws:kms:dsse")) || self.customer_key;
        let is_md5 = |etag: &&str| etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let checked = self.whole_checksums().next().is_some();
        self.etag().filter(is_md5).filter(|_| !keyed && !checked)
    }

    /// Whether a digest that AWS holds for the object agrees with the bytes received.
    ///
    /// A whole-object checksum is checked while the body passes, so one that is named has been met. Where there is none, the entity
    /// tag of an object that was put in one piece and not encrypted under a KMS or customer key is its MD5.
    pub(super) fn agreement(&self, sha256: Sha256Hash, md5: Option<[u8; 16]>) -> Agreement {
        if let Some((_, named)) = self.whole_checksums().find(|(name, _)| *name == "sha256") {
            let ours = STANDARD.encode(sha256.as_bytes());
            return if named == ours { Agreement::Match } else { Agreement::Mismatch };
        }
        if self.whole_checksums().next().is_some() {
            return Agreement::Match;
        }
        match (self.md5(), md5) {
            (Some(etag), Some(md5)) if etag.eq_ignore_ascii_case(&hex::encode(md5)) => Agreement::Match,
            (Some(_), Some(_)) => Agreement::Mismatch,
            _ if self.etag.is_none() && self.checksums.is_empty() => Agreement::Absent,
            _ => Agreement::NotComparable,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::ServerSideEncryption;
    use md5::{Digest as _, Md5};

    use super::*;

    fn judged(output: GetObjectOutput) -> Agreement {
        ObjectAnswer::from(output).agreement(Sha256Hash::of(b"abc"), Some(Md5::digest(b"abc").into()))
    }

    /// MD5 of "abc" (RFC 1321, A.5).
    const ABC: &str = "\"900150983cd24fb0d6963f7d28e17f72\"";

    #[test]
    fn an_entity_tag_of_one_piece_is_compared() {
        assert_eq!(judged(GetObjectOutput::builder().e_tag(ABC).build()), Agreement::Match);
        assert_eq!(
            judged(GetObjectOutput::builder().e_tag("\"000150983cd24fb0d6963f7d28e17f72\"").build()),
            Agreement::Mismatch
        );
    }

    #[test]
    fn entity_tags_of_parts_and_of_kms_objects_are_not_comparable() {
        assert_eq!(
            judged(GetObjectOutput::builder().e_tag("\"900150983cd24fb0d6963f7d28e17f72-3\"").build()),
            Agreement::NotComparable
        );
        for key in [ServerSideEncryption::AwsKms, ServerSideEncryption::AwsKmsDsse] {
            let kms = GetObjectOutput::builder().e_tag(ABC).server_side_encryption(key);
            assert_eq!(judged(kms.build()), Agreement::NotComparable);
        }
    }

    #[test]
    fn a_whole_sha256_outranks_the_entity_tag() {
        let named = STANDARD.encode(Sha256Hash::of(b"abc").as_bytes());
        assert_eq!(judged(GetObjectOutput::builder().checksum_sha256(named).e_tag("\"x\"").build()), Agreement::Match);
        assert_eq!(judged(GetObjectOutput::builder().checksum_sha256("AAAA").build()), Agreement::Mismatch);
        assert_eq!(judged(GetObjectOutput::builder().checksum_sha256("AAAA-2").build()), Agreement::NotComparable);
    }

    #[test]
    fn nothing_named_is_absent() {
        assert_eq!(judged(GetObjectOutput::builder().build()), Agreement::Absent);
    }

    #[test]
    fn bytes_are_held_against_every_checksum_of_the_whole() {
        // Of "123456789": the check values of CRC-32/ISO-HDLC, CRC-32/ISCSI and CRC-64/NVME in the catalogue of CRC algorithms.
        let crc32 = STANDARD.encode(0xcbf4_3926_u32.to_be_bytes());
        let crc32c = STANDARD.encode(0xe306_9283_u32.to_be_bytes());
        let crc64 = STANDARD.encode(0xae8b_1486_0a79_9888_u64.to_be_bytes());
        let answer = ObjectAnswer::from(
            GetObjectOutput::builder().checksum_crc32(crc32).checksum_crc32_c(crc32c).checksum_crc64_nvme(crc64).build(),
        );
        assert!(answer.has_checksums_of(b"123456789") && !answer.has_checksums_of(b"123456780"));
        let of_parts = ObjectAnswer::from(GetObjectOutput::builder().checksum_crc32("AAAAAA==-2").build());
        assert!(of_parts.has_checksums_of(b"123456789"), "a checksum of parts says nothing of the whole");
        let unreadable = ObjectAnswer::from(GetObjectOutput::builder().checksum_crc32("?").build());
        assert!(!unreadable.has_checksums_of(b"123456789"));
    }

    fn response(headers: &[(&'static str, &'static str)]) -> HttpResponse {
        let mut response = HttpResponse::new(http::StatusCode::OK.into(), "".into());
        for (name, value) in headers {
            response.headers_mut().append(*name, *value);
        }
        response
    }

    #[test]
    fn a_header_that_comes_twice_or_cannot_be_read_is_left_to_the_sdk() {
        assert!(ObjectAnswer::read(response(&[("etag", ABC), ("content-length", "3")])).is_some());
        assert!(ObjectAnswer::read(response(&[("etag", ABC), ("etag", "\"x\"")])).is_none());
        assert!(ObjectAnswer::read(response(&[("content-length", "3.5")])).is_none());
        assert!(ObjectAnswer::read(response(&[("last-modified", "yesterday")])).is_none());
    }
}
