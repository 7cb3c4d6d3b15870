//! Accounts as rows: names in columns that are unique, the rest as one JSON body.

use shared_model::{AccountId, Aor, BareJid};

use super::{Connection, Database, archive, lock, records};
use crate::sql::{limit, read, write};
use crate::{Account, AccountPage, Along, StoreError, Taken};

pub(super) struct Accounts(pub(super) Database);

impl Accounts {
    async fn find(&self, sql: &'static str, name: &str) -> Result<Option<Account>, StoreError> {
        self.0.in_time(async { find(&mut *self.0.reader().await?, sql, name).await }).await
    }
}

#[async_trait::async_trait]
impl crate::Accounts for Accounts {
    async fn create(&self, account: &Account) -> Result<(), StoreError> {
        let account = Account { version: 1, ..account.clone() };
        self.0.write(|conn| Box::pin(async move { create(conn, &account).await })).await
    }

    async fn by_id(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.find("SELECT body FROM account WHERE id = $1", &id.to_string()).await
    }

    async fn by_aor(&self, aor: &Aor) -> Result<Option<Account>, StoreError> {
        self.find("SELECT body FROM account WHERE aor = $1", aor.as_str()).await
    }

    async fn by_jid(&self, jid: &BareJid) -> Result<Option<Account>, StoreError> {
        self.find("SELECT body FROM account WHERE jid = $1", jid.as_str()).await
    }

    async fn by_number(&self, number: &str) -> Result<Option<Account>, StoreError> {
        let sql =
            "SELECT body FROM account WHERE id = (SELECT account FROM account_number WHERE number = $1)";
        self.find(sql, number).await
    }

    async fn do_others_begin_with(&self, number: &str, own: AccountId) -> Result<bool, StoreError> {
        // The range finds the rows by the index; LIKE is exact where the database sorts by a language.
        let sql = "SELECT EXISTS (SELECT 1 FROM account_number \
                   WHERE number >= $1 AND number < $2 AND number LIKE $3 AND account <> $4) \
                   OR EXISTS (SELECT 1 FROM account WHERE aor >= $1 AND aor < $2 AND aor LIKE $3 AND id <> $4)";
        let found = sqlx::query_scalar(sql)
            .bind(number)
            .bind(after_all_that_begin_with(number))
            .bind(format!("{number}%"))
            .bind(own.to_string());
        self.0.in_time(async { Ok(found.fetch_one(&mut *self.0.reader().await?).await?) }).await
    }

    async fn update_along(&self, account: &Account, along: &Along) -> Result<(), StoreError> {
        let (account, along) = (account.clone(), along.clone());
        self.0.write(|conn| Box::pin(async move { update(conn, account, &along).await })).await
    }

    async fn remove(&self, id: AccountId) -> Result<bool, StoreError> {
        self.0.write(move |conn| Box::pin(async move { remove(conn, &id.to_string()).await })).await
    }

    async fn list(&self, after: Option<&Aor>, max: usize) -> Result<AccountPage, StoreError> {
        // No AOR is empty, so that all come after the empty text.
        let after = after.map_or("", |aor| aor.as_str());
        let query = sqlx::query_scalar(
            "SELECT body FROM account WHERE aor > $1 ORDER BY aor LIMIT CAST($2 AS BIGINT)",
        )
        .bind(after)
        .bind(limit(max.saturating_add(1)));
        let read_all = async { Ok(query.fetch_all(&mut *self.0.reader().await?).await?) };
        let bodies: Vec<Vec<u8>> = self.0.in_time(read_all).await?;
        let accounts = bodies.iter().take(max).map(|body| read(body)).collect::<Result<_, _>>()?;
        Ok(AccountPage { accounts, more: bodies.len() > max })
    }
}

/// The least text of digits, or the letter after them, that comes after every text that begins with this number.
fn after_all_that_begin_with(number: &str) -> String {
    let text = number.trim_end_matches('9');
    match text.as_bytes() {
        [.., digit @ b'0'..=b'8'] => format!("{}{}", &text[..text.len() - 1], char::from(digit + 1)),
        _ => format!("{text}a"),
    }
}

async fn find(conn: &mut Connection, sql: &'static str, name: &str) -> Result<Option<Account>, StoreError> {
    let body: Option<Vec<u8>> = sqlx::query_scalar(sql).bind(name).fetch_optional(conn).await?;
    body.as_deref().map(read).transpose()
}

async fn create(conn: &mut Connection, account: &Account) -> Result<(), StoreError> {
    lock(conn, "accounts").await?;
    let id = account.id.to_string();
    if find(conn, "SELECT body FROM account WHERE id = $1", &id).await?.is_some() {
        return Err(StoreError::Taken(Taken::Id));
    }
    refuse_taken(conn, account).await?;
    sqlx::query("INSERT INTO account (id, aor, jid, body) VALUES ($1, $2, $3, $4)")
        .bind(&id)
        .bind(account.aor.as_str())
        .bind(account.jid.as_str())
        .bind(write(account)?)
        .execute(&mut *conn)
        .await?;
    add_numbers(conn, account).await
}

async fn update(conn: &mut Connection, mut account: Account, along: &Along) -> Result<(), StoreError> {
    let id = account.id.to_string();
    lock(conn, &id).await?;
    let old = find(conn, "SELECT body FROM account WHERE id = $1", &id).await?;
    let old = old.ok_or(StoreError::NoSuchAccount)?;
    if old.version != account.version {
        return Err(StoreError::Conflict);
    }
    for (owner, collection, key) in &along.spent {
        records::take(conn, owner, collection, key).await?.ok_or(StoreError::Conflict)?;
    }
    let is_renamed = (&old.aor, &old.jid, &old.numbers) != (&account.aor, &account.jid, &account.numbers);
    if is_renamed {
        lock(conn, "accounts").await?;
        refuse_taken(conn, &account).await?;
    }
    account.version += 1;
    let updated = sqlx::query("UPDATE account SET aor = $2, jid = $3, body = $4 WHERE id = $1")
        .bind(&id)
        .bind(account.aor.as_str())
        .bind(account.jid.as_str())
        .bind(write(&account)?)
        .execute(&mut *conn)
        .await?;
    if updated.rows_affected() == 0 {
        return Err(StoreError::NoSuchAccount); // removed since it was read here
    }
    if is_renamed {
        sqlx::query("DELETE FROM account_number WHERE account = $1").bind(&id).execute(&mut *conn).await?;
        add_numbers(conn, &account).await?;
    }
    for ((owner, collection, key), value) in &along.put {
        records::put(conn, owner, collection, key, value).await?;
    }
    archive::append(conn, &along.entries).await
}

async fn remove(conn: &mut Connection, id: &str) -> Result<bool, StoreError> {
    lock(conn, "accounts").await?;
    sqlx::query("DELETE FROM account_number WHERE account = $1").bind(id).execute(&mut *conn).await?;
    let gone = sqlx::query("DELETE FROM account WHERE id = $1").bind(id).execute(conn).await?;
    Ok(gone.rows_affected() > 0)
}

/// Names the first thing of `account` that another account has.
async fn refuse_taken(conn: &mut Connection, account: &Account) -> Result<(), StoreError> {
    let is_other = |found: Option<Account>| found.is_some_and(|found| found.id != account.id);
    let by_aor = find(conn, "SELECT body FROM account WHERE aor = $1", account.aor.as_str()).await?;
    if is_other(by_aor) {
        return Err(StoreError::Taken(Taken::Aor));
    }
    let by_jid = find(conn, "SELECT body FROM account WHERE jid = $1", account.jid.as_str()).await?;
    if is_other(by_jid) {
        return Err(StoreError::Taken(Taken::Jid));
    }
    for number in &account.numbers {
        let sql =
            "SELECT body FROM account WHERE id = (SELECT account FROM account_number WHERE number = $1)";
        if is_other(find(conn, sql, number).await?) {
            return Err(StoreError::Taken(Taken::Number(number.clone())));
        }
    }
    Ok(())
}

async fn add_numbers(conn: &mut Connection, account: &Account) -> Result<(), StoreError> {
    for number in &account.numbers {
        sqlx::query(
            "INSERT INTO account_number (number, account) VALUES ($1, $2) ON CONFLICT (number) DO NOTHING",
        )
        .bind(number)
        .bind(account.id.to_string())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::after_all_that_begin_with;

    #[test]
    fn the_end_of_a_range_of_numbers() {
        for (number, end) in [("+331", "+332"), ("+3399", "+34"), ("+99", "+a")] {
            assert_eq!(after_all_that_begin_with(number), end);
            assert!(*format!("{number}9@x") < *end);
        }
    }
}
