//! The text that Prometheus reads: format 0.0.4, which every collector of metrics understands.

use std::fmt::Write;

use assent_model::OrganizationId;

use super::{Durations, Family, Kind, Sample};

/// These families and this histogram, without what is of organizations that `may_see` refuses.
pub(crate) fn text<'a>(
    families: &[Family],
    durations: impl Iterator<Item = (&'a str, &'a Durations)>,
    may_see: impl Fn(&OrganizationId) -> bool,
) -> String {
    let mut out = String::new();
    for Family { name, help, kind, samples } in families {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        head(&mut out, name, help, kind);
        for Sample { organization, labels, value } in samples {
            if organization.as_ref().is_some_and(|organization| !may_see(organization)) {
                continue;
            }
            let organization = organization.as_ref().map(|id| ("organization", id.as_str()));
            let labels = labels.iter().map(|(name, value)| (*name, value.as_str()));
            line(&mut out, name, organization.into_iter().chain(labels), *value);
        }
    }
    let name = "assent_http_request_duration_seconds";
    head(&mut out, name, "From the end of a request's head to the beginning of its answer.", "histogram");
    for (route, durations) in durations {
        let (buckets, count, seconds) = durations.read();
        let total = count as f64;
        for (bound, up_to) in buckets {
            let labels = [("route", route), ("le", bound)];
            line(&mut out, &format!("{name}_bucket"), labels.into_iter(), up_to as f64);
        }
        line(&mut out, &format!("{name}_bucket"), [("route", route), ("le", "+Inf")].into_iter(), total);
        line(&mut out, &format!("{name}_sum"), [("route", route)].into_iter(), seconds);
        line(&mut out, &format!("{name}_count"), [("route", route)].into_iter(), total);
    }
    out
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a string does not fail.
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
}

fn line<'a>(out: &mut String, name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>, value: f64) {
    let labels: Vec<_> = labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if labels.is_empty() {
        writeln!(out, "{name} {value}").ok();
    } else {
        writeln!(out, "{name}{{{}}} {value}", labels.join(",")).ok();
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let id = |id| OrganizationId::new(id).unwrap();
        let families = [
            Family {
                name: "assent_things_total",
                help: "Things.",
                kind: Kind::Counter,
                samples: vec![
                    Sample::of(&id("bay"), 3.0).with("why", "a \"b\" \\ c\nd"),
                    Sample::of(&id("hill"), 4.0),
                ],
            },
            Family {
                name: "assent_age_seconds",
                help: "Age.",
                kind: Kind::Gauge,
                samples: vec![Sample::new(0.25)],
            },
        ];
        let durations = Durations::default();
        durations.note(std::time::Duration::from_secs(11));
        let made = text(&families, [("/x", &durations)].into_iter(), |seen| seen.as_str() == "bay");
        assert!(
            made.starts_with(
                "# HELP assent_things_total Things.\n# TYPE assent_things_total counter\n\
                 assent_things_total{organization=\"bay\",why=\"a \\\"b\\\" \\\\ c\\nd\"} 3\n\
                 # HELP assent_age_seconds Age.\n# TYPE assent_age_seconds gauge\nassent_age_seconds 0.25\n"
            ),
            "{made}"
        );
        assert!(made.contains("duration_seconds_bucket{route=\"/x\",le=\"10\"} 0\n"), "{made}");
        assert!(made.contains("duration_seconds_bucket{route=\"/x\",le=\"+Inf\"} 1\n"), "{made}");
        assert!(made.ends_with(
            "_sum{route=\"/x\"} 11\nassent_http_request_duration_seconds_count{route=\"/x\"} 1\n"
        ));
    }
}
