//! Service discovery — XEP-0030 2.5.0, sections 3 (info) and 4 (items).

use crate::ns;
use crate::xml::Element;

/// What an entity says of itself.
#[derive(Debug, Clone, Default)]
pub struct Info {
    /// Category, type and name.
    pub identities: Vec<(&'static str, &'static str, String)>,
    /// Namespaces.
    pub features: Vec<&'static str>,
    /// Extended information (XEP-0128).
    pub forms: Vec<Element>,
}

impl Info {
    /// The `<query/>`; `node` is repeated from the request (XEP-0030 §3.2).
    pub fn to_element(&self, node: Option<&str>) -> Element {
        let identities = self.identities.iter().map(|(category, type_, name)| {
            let name = (!name.is_empty()).then_some(name);
            Element::new("identity", ns::DISCO_INFO)
                .with("category", category)
                .with("type", type_)
                .with_some("name", name)
        });
        let features = self.features.iter().map(|f| Element::new("feature", ns::DISCO_INFO).with("var", f));
        Element::new("query", ns::DISCO_INFO)
            .with_some("node", node)
            .children_from(identities)
            .children_from(features)
            .children_from(self.forms.iter().cloned())
    }
}

/// The `<query/>` that lists addresses and names.
pub fn items(node: Option<&str>, items: impl IntoIterator<Item = (String, String)>) -> Element {
    let items = items.into_iter().map(|(jid, name)| {
        let name = (!name.is_empty()).then_some(name);
        Element::new("item", ns::DISCO_ITEMS).with("jid", jid).with_some("name", name)
    });
    Element::new("query", ns::DISCO_ITEMS).with_some("node", node).children_from(items)
}
