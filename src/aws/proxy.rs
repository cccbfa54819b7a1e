//! The way out, through a proxy where the environment names one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::model::printable;

use super::connection::AwsError;
use super::exchange::without_userinfo;

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_mins(1);
/// What is never asked through a proxy: this machine itself, and where a machine or a container finds its own credentials. A proxy would
/// ask for its own.
const OF_THIS_MACHINE: [&str; 5] = ["localhost", "127.0.0.0/8", "::1", "169.254.0.0/16", "fd00:ec2::/32"];

/// The proxies that the environment names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    /// What is asked without a proxy.
    past: Vec<Rule>,
}

/// A proxy, and the variable that names it.
#[derive(Clone, PartialEq, Eq)]
struct Proxy {
    variable: &'static str,
    url: String,
}

impl fmt::Debug for Proxy {
    /// Says nothing of the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("variable", &self.variable).finish_non_exhaustive()
    }
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Everything,
    /// Addresses whose first bits are these.
    Network(IpAddr, u8),
    /// A domain and all below it.
    Domain(String),
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self::Everything);
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        if let Ok(address) = address.trim_matches(['[', ']']).parse::<IpAddr>() {
            let all = if address.is_ipv4() { 32 } else { 128 };
            return Some(Self::Network(address, bits.map_or(Ok(all), str::parse).ok().filter(|bits| *bits <= all)?));
        }
        let domain = text.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        // A port narrows nothing down that is ever asked here.
        let domain = domain.split(':').next().unwrap_or_default().to_owned();
        (!domain.is_empty()).then_some(Self::Domain(domain))
    }

    fn holds(&self, host: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Network(network, bits) => host.parse().is_ok_and(|host| same_bits(*network, host, *bits)),
            Self::Domain(domain) => {
                let host = host.to_ascii_lowercase();
                host.strip_suffix(domain.as_str()).is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
        }
    }
}

/// Whether two addresses begin with the same bits.
fn same_bits(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let differ = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => u128::from(one.to_bits() ^ other.to_bits()) << 96,
        (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() ^ other.to_bits(),
        _ => return false,
    };
    differ.leading_zeros() >= u32::from(bits)
}

impl Proxies {
    /// The proxies that an environment names, by the variables that every tool knows.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        // The first that is set decides; an empty one says that there is none.
        let first = |names: [&'static str; 4]| {
            let (name, value) = names.into_iter().find_map(|name| Some((name, variable(name)?)))?;
            let value = value.trim();
            let url = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
            (!value.is_empty()).then_some(Proxy { variable: name, url })
        };
        let past = ["no_proxy", "NO_PROXY"].map(|name| variable(name).unwrap_or_default());
        Self {
            https: first(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            http: first(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            past: past.iter().flat_map(|list| list.split(',')).chain(OF_THIS_MACHINE).filter_map(Rule::parse).collect(),
        }
    }

    /// The proxy through which an address is asked.
    fn to(&self, address: &str) -> Option<&Proxy> {
        let address = address.parse::<http::Uri>().ok()?;
        let proxy = if address.scheme_str() == Some("https") { &self.https } else { &self.http };
        let host = address.host()?.trim_matches(['[', ']']);
        proxy.as_ref().filter(|_| !self.past.iter().any(|rule| rule.holds(host)))
    }

    /// The proxies through which any of these is asked, by their variables, without a name and password.
    pub(super) fn shown<'a>(&self, addresses: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
        let used = addresses.filter_map(|address| self.to(address));
        used.map(|proxy| (proxy.variable.to_owned(), printable(&without_userinfo(&proxy.url)))).collect()
    }

    /// Whether the proxies through which these are asked can be used. One that nothing goes through may be what it likes.
    pub(super) fn check<'a>(&self, addresses: impl Iterator<Item = &'a str>) -> Result<(), AwsError> {
        for proxy in addresses.filter_map(|address| self.to(address)) {
            proxy
                .config()
                .map_err(|unusable| AwsError::Proxy { variable: unusable.variable, explanation: unusable.explanation })?;
        }
        Ok(())
    }

    /// An HTTP client that goes out by them, and keeps so many idle connections to one host.
    pub(super) fn client(&self, idle: usize) -> SharedHttpClient {
        let direct = Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(idle)
            .build_https();
        if self.https.is_none() && self.http.is_none() {
            return direct;
        }
        let through = |proxy: &Option<Proxy>| proxy.as_ref().map_or_else(|| direct.clone(), |proxy| proxy.client(idle));
        let (https, http) = (through(&self.https), through(&self.http));
        SharedHttpClient::new(WayOut { proxies: self.clone(), direct, https, http })
    }
}

impl Proxy {
    fn config(&self) -> Result<ProxyConfig, UnusableProxy> {
        let unusable = |explanation| UnusableProxy { variable: self.variable, explanation };
        if let Some((scheme, _)) = self.url.split_once("://").filter(|(scheme, _)| scheme.starts_with("socks")) {
            let scheme = printable(scheme);
            return Err(unusable(format!("SOCKS (`{scheme}`) is not supported, only proxies that speak HTTP or HTTPS are")));
        }
        // What goes through it at all has been decided before.
        ProxyConfig::all(self.url.as_str()).map_err(|error| unusable(printable(&error.to_string())))
    }

    fn client(&self, idle: usize) -> SharedHttpClient {
        let config = match self.config() {
            Ok(config) => config,
            Err(unusable) => return SharedHttpClient::new(unusable),
        };
        Builder::new().build_with_connector_fn(move |settings, components| {
            let mut connector = Connector::builder()
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(idle)
                .proxy_config(config.clone())
                .tls_provider(tls::Provider::Rustls(CryptoMode::Ring));
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            connector.build()
        })
    }
}

/// A proxy that cannot be used, in the place of a client: only what goes there fails.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the proxy that {variable} names cannot be used: {explanation}")]
struct UnusableProxy {
    variable: &'static str,
    explanation: String,
}

impl HttpClient for UnusableProxy {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for UnusableProxy {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::user(self.clone().into())))
    }
}

/// Clients for what is asked directly and what is not.
#[derive(Clone, Debug)]
struct WayOut<T> {
    proxies: Proxies,
    direct: T,
    https: T,
    http: T,
}

impl HttpClient for WayOut<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = |client: &SharedHttpClient| client.http_connector(settings, components);
        SharedHttpConnector::new(WayOut {
            proxies: self.proxies.clone(),
            direct: connector(&self.direct),
            https: connector(&self.https),
            http: connector(&self.http),
        })
    }
}

impl HttpConnector for WayOut<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let way = match self.proxies.to(request.uri()) {
            None => &self.direct,
            Some(_) if request.uri().starts_with("https:") => &self.https,
            Some(_) => &self.http,
        };
        way.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(set: &[(&str, &str)]) -> Proxies {
        Proxies::of(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn way(proxies: &Proxies, address: &str) -> Option<String> {
        proxies.to(address).map(|proxy| format!("{} {}", proxy.variable, proxy.url))
    }

    #[test]
    fn each_scheme_has_its_proxy_and_an_empty_variable_none() {
        let both = proxies(&[("HTTPS_PROXY", "http://192.0.2.1:1"), ("all_proxy", "192.0.2.2:2")]);
        assert_eq!(way(&both, "https://s3.amazonaws.com/").as_deref(), Some("HTTPS_PROXY http://192.0.2.1:1"));
        assert_eq!(way(&both, "http://example.com/").as_deref(), Some("all_proxy http://192.0.2.2:2"));
        let none = proxies(&[("https_proxy", ""), ("HTTPS_PROXY", "http://192.0.2.1:1")]);
        assert_eq!(way(&none, "https://s3.amazonaws.com/"), None);
        assert_eq!(way(&Proxies::default(), "https://s3.amazonaws.com/"), None);
    }

    #[test]
    fn what_no_proxy_lists_is_asked_directly() {
        let rules = "localhost, .example.com,192.0.2.0/24,[2001:db8::1], s3.amazonaws.com:443";
        let some = proxies(&[("ALL_PROXY", "http://198.51.100.1:1"), ("NO_PROXY", rules)]);
        for past in ["localhost:1", "example.com", "a.EXAMPLE.com", "192.0.2.255:1", "[2001:db8::1]:1", "b.s3.amazonaws.com"] {
            assert_eq!(way(&some, &format!("https://{past}/")), None, "{past}");
        }
        for through in ["notexample.com", "192.0.3.1", "[2001:db8::2]", "sts.amazonaws.com"] {
            assert!(way(&some, &format!("https://{through}/")).is_some(), "{through}");
        }
        let nothing = proxies(&[("ALL_PROXY", "http://198.51.100.1:1"), ("no_proxy", "*")]);
        assert_eq!(way(&nothing, "https://sts.amazonaws.com"), None);
    }

    #[test]
    fn neither_this_machine_nor_its_credentials_are_asked_of_a_proxy() {
        let all = proxies(&[("ALL_PROXY", "http://198.51.100.1:1")]);
        let credentials = ["http://169.254.169.254/latest/api/token", "http://169.254.170.2/x", "http://[fd00:ec2::254]/"];
        for address in credentials.into_iter().chain(["http://localhost:4566", "http://127.0.0.1:1", "http://[::1]:1"]) {
            assert_eq!(way(&all, address), None, "{address}");
        }
    }

    #[test]
    fn a_proxy_is_shown_where_it_is_used_and_without_its_password() {
        let some = proxies(&[("HTTPS_PROXY", "http://user:s3cret@192.0.2.1:1"), ("NO_PROXY", "203.0.113.1")]);
        let shown = some.shown(["https://sts.amazonaws.com", "http://example.com"].into_iter());
        assert_eq!(shown, BTreeMap::from([("HTTPS_PROXY".to_owned(), "http://192.0.2.1:1".to_owned())]));
        assert_eq!(some.shown(["https://203.0.113.1:1", "http://example.com"].into_iter()), BTreeMap::new());
        assert!(!format!("{some:?}").contains("s3cret"));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_that_keeps_its_password() {
        for url in ["socks5://user:s3cret@192.0.2.1:1", "ftp://user:s3cret@192.0.2.1:1"] {
            let unusable = proxies(&[("ALL_PROXY", url)]);
            let refused = unusable.check(["https://sts.amazonaws.com"].into_iter()).unwrap_err().to_string();
            assert!(refused.contains("ALL_PROXY") && !refused.contains("s3cret"), "{refused}");
            assert_eq!(refused.contains("SOCKS (`socks5`) is not supported"), url.starts_with("socks5"), "{refused}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_stops_nothing_that_goes_another_way() {
        const SOCKS: (&str, &str) = ("ALL_PROXY", "socks5://192.0.2.1:1");
        for other in [("HTTPS_PROXY", "http://192.0.2.2:1"), ("NO_PROXY", "*"), ("NO_PROXY", ".amazonaws.com")] {
            let some = proxies(&[SOCKS, other]);
            assert!(some.check(["https://sts.amazonaws.com", "http://127.0.0.1:1"].into_iter()).is_ok(), "{other:?}");
        }
    }
}
