//! What manifests say twice because cargo cannot share it; this test says when the two differ.

fn read(file: &str) -> toml::Table {
    let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../{}"), file);
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

#[test]
fn the_conference_has_the_lints_of_the_workspace_but_for_its_codecs_face() {
    let mut house = read("Cargo.toml")["workspace"]["lints"].clone();
    let conference = read("conference/Cargo.toml")["lints"].clone();
    house["rust"]["unsafe_code"] = toml::Value::from("deny");
    assert_eq!(conference, house);
}

#[test]
fn every_version_stands_in_the_root() {
    let workspace = read("Cargo.toml");
    for member in workspace["workspace"]["members"].as_array().unwrap() {
        let file = format!("{}/Cargo.toml", member.as_str().unwrap());
        let manifest = read(&file);
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(toml::Value::Table(needs)) = manifest.get(table) else { continue };
            for (name, need) in needs {
                let is_shared = need.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(is_shared, "{file}: {table}: {name}");
            }
        }
    }
}
