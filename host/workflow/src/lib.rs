pub mod break_glass {
    pub const ENTITY_TYPE: &str = "EmergencyAccess";
}
pub mod hold {
    use assent_model::EntityId;
    use serde::{Deserialize, Serialize};
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Target {
        Entity(EntityId),
        Caller(String),
        Plugin(String),
        Organization,
    }
    #[derive(Clone, Serialize, Deserialize)]
    pub struct Hold {
        target: Target,
    }
    impl Hold {
        pub fn holds(&self) -> bool {
            true
        }
        pub fn target(&self) -> &Target {
            &self.target
        }
    }
}
