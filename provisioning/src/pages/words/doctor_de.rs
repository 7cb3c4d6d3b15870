//! What the doctor finds, and what is to be done, in German. What other programs and libraries say of a fault stays as they say it.

pub(super) const SAID: &[(&str, &str)] = &[
    ("not checked: the server does not answer", "nicht geprüft: der Server antwortet nicht"),
    ("start it (cusax serve) and ask again", "starte ihn (cusax serve) und frage noch einmal"),
    ("no answer in time", "keine Antwort in der Zeit"),
    ("the store or the certificate cannot be read", "der Speicher oder das Zertifikat ist nicht lesbar"),
    ("not checked: {~}", "nicht geprüft: {~}"),
    ("the store does not open", "der Speicher lässt sich nicht öffnen"),
    ("of {} domains the first {} are looked at", "von {} Domains werden die ersten {} geprüft"),
    (
        "accounts are of domains that are not served: {}",
        "Konten sind von Domains, die nicht bedient werden: {}",
    ),
    (
        "put their domain into `[[domains]]` again, or remove them (cusax user remove)",
        "nimm ihre Domain wieder in `[[domains]]` auf, oder entferne sie (cusax user remove)",
    ),
    ("accounts cannot be read: {~}", "die Konten sind nicht lesbar: {~}"),
    // Configuration and clock.
    (
        "tls.require is false: both halves take passwords in the clear from anywhere",
        "tls.require ist aus: beide Hälften nehmen von überall Passwörter im Klartext",
    ),
    (
        "set tls.require = true, unless this is a laboratory",
        "setze tls.require = true, wenn dies kein Labor ist",
    ),
    (
        "calls and chat can both be protected by TLS, by one certificate and one policy",
        "Telefonie und Chat sind beide durch TLS zu schützen, mit einem Zertifikat und nach einer Regel",
    ),
    (
        "sip.tls listens nowhere: chat can be protected, and what is dialled cannot",
        "sip.tls lauscht nirgends: der Chat ist zu schützen, und was gewählt wird nicht",
    ),
    ("give sip.tls an address, such as 0.0.0.0:5061", "gib sip.tls eine Adresse, zum Beispiel 0.0.0.0:5061"),
    ("xmpp listens nowhere: accounts have one half", "xmpp lauscht nirgends: Konten haben nur eine Hälfte"),
    (
        "give xmpp.c2s an address, such as 0.0.0.0:5222",
        "gib xmpp.c2s eine Adresse, zum Beispiel 0.0.0.0:5222",
    ),
    ("neither half listens for TLS", "keine der beiden Hälften lauscht auf TLS"),
    ("give sip.tls and xmpp.c2s_tls addresses", "gib sip.tls und xmpp.c2s_tls Adressen"),
    (
        "auth.algorithms has MD5 alone: what telephones prove is weaker than what chat proves",
        "auth.algorithms hat nur MD5: Telefone weisen sich schwächer aus als der Chat",
    ),
    ("put SHA-256 before it (RFC 8760)", "setze SHA-256 davor (RFC 8760)"),
    (
        "MD5 is offered to telephones, after stronger ones; many know nothing else",
        "Telefonen wird MD5 angeboten, nach stärkeren; viele können nichts anderes",
    ),
    (
        "http.https listens nowhere: no client can configure itself",
        "http.https lauscht nirgends: kein Programm kann sich selbst einrichten",
    ),
    ("give it an address", "gib ihm eine Adresse"),
    ("set the clock, and keep it right (NTP)", "stelle die Uhr, und halte sie richtig (NTP)"),
    (
        "the clock is years behind: certificates do not hold yet",
        "die Uhr geht um Jahre nach: Zertifikate gelten noch nicht",
    ),
    (
        "the clock was set back: the server started {} s from now",
        "die Uhr wurde zurückgestellt: der Server startete von jetzt an in {} s",
    ),
    (
        "keep the clock right (NTP), and restart the server",
        "halte die Uhr richtig (NTP), und starte den Server neu",
    ),
    ("the clock goes forwards", "die Uhr geht vorwärts"),
    // Store.
    (
        "not opened: the server does not answer, and it is the server that opens the store",
        "nicht geöffnet: der Server antwortet nicht, und er ist es, der den Speicher öffnet",
    ),
    (
        "{} may be read or written by others than its owner",
        "{} können auch andere als der Eigentümer lesen oder schreiben",
    ),
    (
        "take that from them (chmod go= on it): who reads the key and the store can be anybody here",
        "nimm ihnen das (chmod go=): wer Schlüssel und Speicher liest, kann hier jeder sein",
    ),
    ("the store at {} does not open: {~}", "der Speicher {} lässt sich nicht öffnen: {~}"),
    ("it is no SQLite file", "das ist keine Datei von SQLite"),
    (
        "see that the folder or the database is there, and that this user may write to it",
        "sieh nach, ob der Ordner oder die Datenbank da ist und dieser Benutzer darin schreiben darf",
    ),
    (
        "the store is there and may be written; it is opened by the server alone, which does not answer",
        "der Speicher ist da und beschreibbar; öffnen darf ihn nur der Server, und der antwortet nicht",
    ),
    (
        "there is no store yet: the server makes it when it starts",
        "es gibt noch keinen Speicher: der Server legt ihn beim Start an",
    ),
    (
        "the store opens, its schema is that of this release, and it takes a write",
        "der Speicher lässt sich öffnen, sein Schema ist das dieser Version, und er lässt sich beschreiben",
    ),
    ("the store is damaged: {}", "der Speicher ist beschädigt: {}"),
    (
        "stop the server, keep a copy of the file, and restore the newest backup (docs/operations.md); see whether the disk fails",
        "halte den Server an, behalte eine Kopie der Datei, und spiele die neueste Sicherung zurück (docs/operations.md); sieh nach, ob die Platte versagt",
    ),
    (
        "whether the store is damaged: it is too large to look through in {} s",
        "ob der Speicher beschädigt ist: er ist zu groß, um ihn in {} s durchzusehen",
    ),
    ("whether the store is damaged: {}", "ob der Speicher beschädigt ist: {}"),
    ("the store takes no write: {}", "der Speicher lässt sich nicht beschreiben: {}"),
    (
        "see whether its disk is full or mounted read-only, and whether another process holds it",
        "sieh nach, ob die Platte voll oder schreibgeschützt ist oder ein anderer Prozess ihn hält",
    ),
    ("{} has {} MiB left", "{} hat noch {} MiB frei"),
    (
        "make room: what is not written is not acknowledged",
        "schaffe Platz: was nicht geschrieben ist, wird nicht bestätigt",
    ),
    ("make room soon", "schaffe bald Platz"),
    ("room in {}: {}", "Platz in {}: {}"),
    // Listeners and certificates.
    ("{} does not answer at {}: {~}", "{} antwortet nicht an {}: {~}"),
    ("what answers speaks no SIP", "was antwortet, spricht kein SIP"),
    (
        "look at the log; a firewall between the two may also drop it",
        "sieh ins Protokoll; auch eine Firewall dazwischen kann es verwerfen",
    ),
    (
        "{} is configured for {}, and the running server has no such listener",
        "{} ist für {} eingestellt, und der laufende Server lauscht dort nicht",
    ),
    (
        "restart the server with this configuration, or run that part of it",
        "starte den Server mit dieser Konfiguration neu, oder lass diesen Teil laufen",
    ),
    ("all {} listeners answer", "alle {} Stellen, an denen gelauscht wird, antworten"),
    ("{} cannot have {}: {}", "{} kann {} nicht haben: {}"),
    (
        "another process has it, or it is forbidden: end that process, or set {} to another port",
        "ein anderer Prozess hat das, oder es ist verboten: beende ihn, oder setze {} auf einen anderen Port",
    ),
    ("the certificate cannot be used: {}", "das Zertifikat ist nicht zu gebrauchen: {}"),
    (
        "see tls.certificate and tls.key, and that this user may read both",
        "sieh nach tls.certificate und tls.key, und dass dieser Benutzer beide lesen darf",
    ),
    (
        "{}; a server that runs shows the old one until it ends, and does not start without it",
        "{}; ein laufender Server zeigt bis zu seinem Ende das alte, und startet ohne es nicht",
    ),
    (
        "put a certificate and its key there that this user may read, and send the server SIGHUP",
        "lege Zertifikat und Schlüssel dorthin, lesbar für diesen Benutzer, und schicke dem Server SIGHUP",
    ),
    ("{}: no TLS at {} for {}: {~}", "{}: kein TLS an {} für {}: {~}"),
    ("it showed no certificate", "es zeigte kein Zertifikat"),
    (
        "look at the log; a proxy or another service may have that port",
        "sieh ins Protokoll; ein Proxy oder ein anderer Dienst kann diesen Port haben",
    ),
    (
        "{} listeners show a certificate that holds for {}",
        "an {} Stellen wird ein Zertifikat gezeigt, das für {} gilt",
    ),
    (
        "the certificate is of a CA of our own: Linphone, Conversations, Gajim and browsers refuse it until they are given that CA; baresip believes anybody unless sip_verify_server is yes",
        "das Zertifikat ist von einer eigenen CA: Linphone, Conversations, Gajim und Browser weisen es ab, bis sie diese CA haben; baresip glaubt jedem, wenn sip_verify_server nicht auf yes steht",
    ),
    (
        "install {} on each device, or set tls.certificate to one of a public CA",
        "installiere {} auf jedem Gerät, oder setze tls.certificate auf eines von einer öffentlichen CA",
    ),
    (
        "{}: the certificate for {} expired {} days ago: every client that looks refuses it",
        "{}: das Zertifikat für {} ist vor {} Tagen abgelaufen: jedes Programm, das hinsieht, weist es ab",
    ),
    ("renew it, and send the server SIGHUP", "erneuere es, und schicke dem Server SIGHUP"),
    ("get a certificate that names {}", "besorge ein Zertifikat, das {} nennt"),
    (
        "get a new certificate: a list of tls.revoked has this one",
        "besorge ein neues Zertifikat: dieses steht auf einer Liste von tls.revoked",
    ),
    (
        "put the whole chain into the file of the certificate; a CA of your own goes into tls.trust",
        "lege die ganze Kette in die Datei des Zertifikats; eine eigene CA gehört in tls.trust",
    ),
    (
        "{}: clients that look refuse the certificate for {}: {}",
        "{}: Programme, die hinsehen, weisen das Zertifikat für {} ab: {}",
    ),
    ("{}: the certificate for {} expires in {} days", "{}: das Zertifikat für {} läuft in {} Tagen ab"),
    // Names.
    ("no name server is asked about {}", "kein Nameserver wird nach {} gefragt"),
    ("no name server answers", "kein Nameserver antwortet"),
    ("{} is at {}", "{} ist an {}"),
    (
        "{} has no address: who knows no SRV finds nobody",
        "{} hat keine Adresse: wer kein SRV kennt, findet niemanden",
    ),
    (
        "publish what `cusax config zone --address …` prints",
        "veröffentliche, was `cusax config zone --address …` ausgibt",
    ),
    ("{}: no name server answers", "{}: kein Nameserver antwortet"),
    ("{} leads to port {}, and {} listens nowhere", "{} führt zu Port {}, und {} lauscht nirgends"),
    (
        "take the record away, or give the listener an address",
        "nimm den Eintrag weg, oder gib eine Adresse zum Lauschen an",
    ),
    (
        "{} is not published, and {} is not at the port that clients guess: {}",
        "{} ist nicht veröffentlicht, und {} ist nicht an dem Port, den Programme raten: {}",
    ),
    (
        "{} is not published, and its domain has no address: nobody comes that way",
        "{} ist nicht veröffentlicht, und seine Domain hat keine Adresse: auf diesem Weg kommt niemand",
    ),
    (
        "{} is not published; clients guess port {}, which is right",
        "{} ist nicht veröffentlicht; Programme raten Port {}, und das stimmt",
    ),
    ("{} leads to port {}, and {} is at {}", "{} führt zu Port {}, und {} ist an {}"),
    ("publish what `cusax config zone` prints", "veröffentliche, was `cusax config zone` ausgibt"),
    (
        "the NAPTR record for {} leads to {}, which has no SRV record",
        "der NAPTR-Eintrag für {} führt zu {}, und dafür gibt es keinen SRV-Eintrag",
    ),
    (
        "{} has no NAPTR record for SIP: who calls tries SRV records, in an order of their own",
        "{} hat keinen NAPTR-Eintrag für SIP: wer anruft, versucht SRV-Einträge in eigener Reihenfolge",
    ),
    (
        "a NAPTR record of {} names {}, and {} listens nowhere",
        "ein NAPTR-Eintrag von {} nennt {}, und {} lauscht nirgends",
    ),
    (
        "{} has NAPTR records, and none for {}: nobody who reads them comes that way",
        "{} hat NAPTR-Einträge, und keinen für {}: wer sie liest, kommt nicht auf diesem Weg",
    ),
    (
        "the NAPTR records of {} name the {} ways of calls that listen",
        "die NAPTR-Einträge von {} nennen die {} Wege für Anrufe, auf denen gelauscht wird",
    ),
    // Where people come from.
    ("no directory keeps people of ours", "kein Verzeichnis führt Leute von uns"),
    (
        "the rest is not asked: those before took too long",
        "der Rest wird nicht gefragt: die davor brauchten zu lange",
    ),
    (
        "not asked: our certificates cannot be read, and with them whom we trust",
        "nicht gefragt: unsere Zertifikate sind nicht lesbar, und damit auch nicht, wem wir trauen",
    ),
    (
        "the directory of {} answers, and names nobody: nobody of it can log in",
        "das Verzeichnis von {} antwortet und nennt niemanden: niemand von dort kann sich anmelden",
    ),
    (
        "see whether auth.ldap.base and auth.ldap.filter are right, and whether auth.ldap.bind_dn may read what is there",
        "sieh nach, ob auth.ldap.base und auth.ldap.filter stimmen und auth.ldap.bind_dn lesen darf, was dort ist",
    ),
    (
        "the directory of {} answers, and none of its {} entries can have an account",
        "das Verzeichnis von {} antwortet, und keiner seiner {} Einträge kann ein Konto haben",
    ),
    (
        "see whether auth.ldap.user and auth.ldap.id name attributes that people have, and that auth.ldap.bind_dn may read",
        "sieh nach, ob auth.ldap.user und auth.ldap.id Attribute nennen, die Leute haben und auth.ldap.bind_dn lesen darf",
    ),
    (
        "the directory of {} answers, and names {} people who can have accounts",
        "das Verzeichnis von {} antwortet und nennt {} Leute, die Konten haben können",
    ),
    (
        "{} entries of the directory of {} have a user name that no account can have: {}",
        "{} Einträge des Verzeichnisses von {} haben einen Benutzernamen, den kein Konto haben kann: {}",
    ),
    (
        "a user name is made of the letters a to z, digits, and . - _ between them; give them another, or let auth.ldap.filter leave them out",
        "ein Benutzername besteht aus den Buchstaben a bis z, Ziffern und . - _ dazwischen; gib ihnen einen anderen, oder lass sie mit auth.ldap.filter weg",
    ),
    (
        "{} entries of the directory of {} lack what auth.ldap.id names",
        "{} Einträgen des Verzeichnisses von {} fehlt, was auth.ldap.id nennt",
    ),
    (
        "name an attribute that each entry has and that never changes",
        "nenne ein Attribut, das jeder Eintrag hat und das sich nie ändert",
    ),
    (
        "{}: {}: nobody new has an account, and nobody ends who left",
        "{}: {}: niemand bekommt ein neues Konto, und niemandes Konto endet, der ging",
    ),
    (
        "let the directory give auth.ldap.bind_dn all entries (OpenLDAP: `limits dn.exact=\"…\" size=unlimited time=unlimited`)",
        "lass das Verzeichnis auth.ldap.bind_dn alle Einträge geben (OpenLDAP: `limits dn.exact=\"…\" size=unlimited time=unlimited`)",
    ),
    (
        "let the file hold the password of auth.ldap.bind_dn, and let this user read it",
        "schreibe das Passwort von auth.ldap.bind_dn in die Datei, und lass diesen Benutzer sie lesen",
    ),
    (
        "{}: {}: nobody logs in whose password it keeps",
        "{}: {}: niemand meldet sich an, dessen Passwort es verwahrt",
    ),
    (
        "see whether it runs at auth.ldap.url, whether its certificate is of that name and of a CA that is trusted (tls.trust), and whether it takes auth.ldap.bind_dn with that password",
        "sieh nach, ob es an auth.ldap.url läuft, ob sein Zertifikat auf diesen Namen lautet und von einer CA ist, der getraut wird (tls.trust), und ob es auth.ldap.bind_dn mit diesem Passwort nimmt",
    ),
    (
        "no provider of OpenID Connect keeps people of ours",
        "kein Anbieter von OpenID Connect führt Leute von uns",
    ),
    (
        "the provider of {} shows no key whose signature is believed: nobody signs in by it",
        "der Anbieter von {} zeigt keinen Schlüssel, dessen Unterschrift geglaubt wird: niemand meldet sich mit ihm an",
    ),
    (
        "let it sign with RS256, PS256, ES256, ES384 or EdDSA",
        "lass ihn mit RS256, PS256, ES256, ES384 oder EdDSA unterschreiben",
    ),
    (
        "the provider of {} says where it is asked, and by which keys it signs",
        "der Anbieter von {} sagt, wo er gefragt wird und mit welchen Schlüsseln er unterschreibt",
    ),
    (
        "{}: sign-ins are taken for which the provider gives no refresh token: whom it ends goes on here",
        "{}: Anmeldungen gelten, für die der Anbieter kein Refresh-Token gibt: wen er beendet, der bleibt hier",
    ),
    (
        "leave out auth.oidc.unwatched, and see that everybody gets in: the provider may have to allow this client offline_access",
        "lass auth.oidc.unwatched weg, und sieh zu, dass alle hineinkommen: der Anbieter muss diesem Dienst vielleicht offline_access erlauben",
    ),
    (
        "the provider of {} says nothing of offline_access: a sign-in without a refresh token is refused",
        "der Anbieter von {} sagt nichts von offline_access: eine Anmeldung ohne Refresh-Token gilt nicht",
    ),
    (
        "ask for refresh tokens as the provider says (auth.oidc.parameters, such as access_type = \"offline\" of Google)",
        "frage nach Refresh-Token, wie der Anbieter es will (auth.oidc.parameters, bei Google etwa access_type = \"offline\")",
    ),
    (
        "let this user read the file, or leave the key out for a public client",
        "lass diesen Benutzer die Datei lesen, oder lass sie für einen öffentlichen Client weg",
    ),
    (
        "write auth.oidc.issuer as the provider does, to the letter",
        "schreibe auth.oidc.issuer Zeichen für Zeichen wie der Anbieter",
    ),
    ("{}: {}: nobody signs in by it", "{}: {}: niemand meldet sich mit ihm an"),
    (
        "see whether its /.well-known/openid-configuration and its jwks_uri are read from this machine, over TLS, by a certificate of a CA that is trusted (tls.trust)",
        "sieh nach, ob /.well-known/openid-configuration und jwks_uri von dieser Maschine aus lesbar sind, über TLS, mit einem Zertifikat einer CA, der getraut wird (tls.trust)",
    ),
    // Halves.
    ("bindings cannot be read: {}", "Registrierungen sind nicht lesbar: {}"),
    (
        "all {} telephones that are registered are protected as chat is",
        "alle {} angemeldeten Telefone sind geschützt wie der Chat",
    ),
    (
        "{} accounts have a telephone without encryption, while their chat is encrypted: {}",
        "{} Konten haben ein Telefon ohne Verschlüsselung, während ihr Chat verschlüsselt ist: {}",
    ),
    (
        "set these up again by the files and codes for devices, which say TLS; without sip.udp and sip.tcp there is no other way",
        "richte sie mit den Dateien und Codes für Geräte neu ein, die TLS sagen; ohne sip.udp und sip.tcp gibt es keinen anderen Weg",
    ),
    (
        "{} accounts have a telephone that logs in by Digest with MD5, while their chat answers by a sound hash",
        "{} Konten haben ein Telefon, das sich mit Digest und MD5 anmeldet, während ihr Chat mit einem sicheren Hash antwortet",
    ),
    (
        "set these telephones up again, of makes that know SHA-256 (RFC 8760); without MD5 in auth.algorithms there is no other way",
        "richte diese Telefone neu ein, mit Marken, die SHA-256 kennen (RFC 8760); ohne MD5 in auth.algorithms gibt es keinen anderen Weg",
    ),
    (
        "{} accounts have a chat client that logs in by PLAIN, while their telephones never show the password",
        "{} Konten haben ein Chatprogramm, das sich mit PLAIN anmeldet, während ihre Telefone das Passwort nie zeigen",
    ),
    (
        "SCRAM is the client's to choose; whose password a directory keeps needs an app password for it",
        "SCRAM wählt das Programm; wessen Passwort ein Verzeichnis hält, braucht dafür ein App-Passwort",
    ),
    (
        "{} accounts have a telephone that logs in by a password, while their chat has a certificate",
        "{} Konten haben ein Telefon, das sich mit einem Passwort anmeldet, während ihr Chat ein Zertifikat hat",
    ),
    (
        "a telephone may show a certificate of tls.client_ca; others need an app password of their own",
        "ein Telefon kann ein Zertifikat aus tls.client_ca zeigen; andere brauchen ein eigenes App-Passwort",
    ),
    (
        "{} accounts have a chat client that logs in by a password, while their telephone has a certificate",
        "{} Konten haben ein Chatprogramm, das sich mit einem Passwort anmeldet, während ihr Telefon ein Zertifikat hat",
    ),
    (
        "a chat client may log in by EXTERNAL with the same certificate; others need an app password of their own",
        "ein Chatprogramm kann sich mit demselben Zertifikat durch EXTERNAL anmelden; andere brauchen ein eigenes App-Passwort",
    ),
    (
        "{} accounts have a telephone whose TLS is older than that of their chat",
        "{} Konten haben ein Telefon, dessen TLS älter ist als das ihres Chats",
    ),
    ("update these telephones", "aktualisiere diese Telefone"),
    (
        "{} accounts have a chat client whose TLS is older than that of their telephones",
        "{} Konten haben ein Chatprogramm, dessen TLS älter ist als das ihrer Telefone",
    ),
    ("update these clients", "aktualisiere diese Programme"),
    (
        "{} accounts have a chat client that is connected without encryption",
        "{} Konten haben ein Chatprogramm, das unverschlüsselt verbunden ist",
    ),
    (
        "set tls.require = true; where it is, they come from this machine, by a proxy that forwards in the clear",
        "setze tls.require = true; wo das so ist, kommen sie von dieser Maschine, über einen Proxy, der unverschlüsselt weiterreicht",
    ),
    // What is tried with an account.
    ("read the log of that moment: it says why", "lies das Protokoll von diesem Augenblick: es sagt, warum"),
    ("not tried: {} listens nowhere, and {~}", "nicht versucht: {} lauscht nirgends, und {~}"),
    ("this call goes over UDP", "dieser Anruf geht über UDP"),
    ("this chat goes by direct TLS", "dieser Chat geht über direktes TLS"),
    ("cards are read there", "Karten werden dort gelesen"),
    ("configurations come from there", "Konfigurationen kommen von dort"),
    ("clients learn of relays there", "Programme erfahren dort von Relays"),
    (
        "no account of {} could be made to try it with: {}",
        "zum Versuch konnte kein Konto von {} angelegt werden: {}",
    ),
    ("an account of {} {~}", "ein Konto von {} {~}"),
    (
        "registered, called itself and heard itself, and hung up",
        "meldete sich an, rief sich selbst an, hörte sich und legte auf",
    ),
    ("logged in, wrote to itself, and got it", "meldete sich an, schrieb sich selbst und bekam es"),
    (
        "has a card that says the address by which it is called",
        "hat eine Karte, auf der die Adresse steht, unter der es angerufen wird",
    ),
    ("got its configuration for Linphone", "bekam seine Konfiguration für Linphone"),
    ("{}: {} did not answer in time", "{}: {} antwortete nicht in der Zeit"),
    (
        "the account that it was tried with could not be removed: {}",
        "das Konto, mit dem es versucht wurde, ließ sich nicht entfernen: {}",
    ),
    (
        "the next look takes it away, and so does a start of the server",
        "die nächste Prüfung nimmt es weg, ebenso ein Start des Servers",
    ),
    ("{}: {~} was answered with {}", "{}: {~} wurde mit {} beantwortet"),
    ("the call", "der Anruf"),
    ("{}: the call was not answered in time", "{}: der Anruf wurde nicht in der Zeit angenommen"),
    ("{}: the call was not answered", "{}: der Anruf wurde nicht angenommen"),
    (
        "{}: the call was answered by somebody else than its callee",
        "{}: den Anruf nahm jemand anderes an als der Angerufene",
    ),
    ("{}: hanging up was not answered in time", "{}: das Auflegen wurde nicht in der Zeit beantwortet"),
    (
        "{}: {~}: no challenge with an algorithm that is known",
        "{}: {~}: keine Frage nach einem Nachweis mit einem Verfahren, das bekannt ist",
    ),
    ("{}: {~}: the server did not answer in time", "{}: {~}: der Server antwortete nicht in der Zeit"),
    (
        "{}: what the proxy brought has no description of sound",
        "{}: was der Proxy brachte, beschreibt keinen Ton",
    ),
    (
        "{}: the call was up, and {~} heard sound (sent to {} and {})",
        "{}: der Anruf stand, und {~} hörte Ton (geschickt an {} und {})",
    ),
    ("the callee alone", "nur der Angerufene"),
    ("the caller alone", "nur der Anrufer"),
    ("neither", "keiner von beiden"),
    ("{}: sip.udp listens nowhere", "{}: sip.udp lauscht nirgends"),
    ("{}: xmpp.c2s_tls listens nowhere", "{}: xmpp.c2s_tls lauscht nirgends"),
    ("{}: http.https listens nowhere", "{}: http.https lauscht nirgends"),
    (
        "{}: the card of an account does not say the address by which it is called: contacts cannot call whom they chat with",
        "{}: auf der Karte eines Kontos steht nicht, unter welcher Adresse es angerufen wird: Kontakte können nicht anrufen, mit wem sie chatten",
    ),
    (
        "see that chat and calls are of one release and one configuration (domain, [[domains]])",
        "sieh nach, dass Chat und Telefonie von einer Version und einer Konfiguration sind (domain, [[domains]])",
    ),
    ("{}: the card did not come: {}", "{}: die Karte kam nicht: {}"),
    ("{}: the card did not come", "{}: die Karte kam nicht"),
    ("{}: the message to oneself did not come: {}", "{}: die Nachricht an sich selbst kam nicht: {}"),
    ("{}: the message to oneself did not come", "{}: die Nachricht an sich selbst kam nicht"),
    ("{}: no features of the stream: {}", "{}: keine Merkmale des Streams: {}"),
    ("{}: no features of the stream", "{}: keine Merkmale des Streams"),
    ("{}: the login was refused: {}", "{}: die Anmeldung wurde abgewiesen: {}"),
    ("{}: the login was refused", "{}: die Anmeldung wurde abgewiesen"),
    ("{}: no features after the login: {}", "{}: keine Merkmale nach der Anmeldung: {}"),
    ("{}: no features after the login", "{}: keine Merkmale nach der Anmeldung"),
    ("{}: no resource was bound: {}", "{}: keine Ressource wurde gebunden: {}"),
    ("{}: no resource was bound", "{}: keine Ressource wurde gebunden"),
    (
        "look at the certificates and the log; a proxy may have that port",
        "sieh nach den Zertifikaten und ins Protokoll; ein Proxy kann diesen Port haben",
    ),
    (
        "see that this server runs the part provisioning, and read its log of that moment",
        "sieh nach, dass dieser Server den Teil provisioning betreibt, und lies sein Protokoll von diesem Augenblick",
    ),
    ("{}: {} was refused: {}", "{}: {} wurde abgewiesen: {}"),
    (
        "{}: {} came, and does not name the account that it is for",
        "{}: {} kam, und nennt nicht das Konto, für das es ist",
    ),
    // Relays.
    (
        "no STUN or TURN server is told to clients: calls between networks that let nothing in have no sound",
        "Programmen wird kein STUN- oder TURN-Server genannt: Anrufe zwischen Netzen, die nichts hineinlassen, haben keinen Ton",
    ),
    (
        "run a TURN server, and name it in xmpp.turn.services",
        "betreibe einen TURN-Server, und nenne ihn in xmpp.turn.services",
    ),
    ("no account to ask with could be made: {}", "zum Fragen konnte kein Konto angelegt werden: {}"),
    (
        "the account that asked could not be removed: {}",
        "das Konto, das fragte, ließ sich nicht entfernen: {}",
    ),
    ("chat did not answer in time", "der Chat antwortete nicht in der Zeit"),
    ("no list of STUN and TURN servers came", "es kam keine Liste von STUN- und TURN-Servern"),
    (
        "clients are told of no STUN or TURN server, though xmpp.turn.services names some",
        "Programmen wird kein STUN- oder TURN-Server genannt, obwohl xmpp.turn.services welche nennt",
    ),
    (
        "restart the server, which reads its configuration then",
        "starte den Server neu: dann liest er seine Konfiguration",
    ),
    ("{} sees this machine come from {}", "{} sieht diese Maschine von {} kommen"),
    (
        "{} relays at {}, for everybody and without a password",
        "{} leitet an {} weiter, für jeden und ohne Passwort",
    ),
    (
        "{} relays at {} with the name and the password that clients get",
        "{} leitet an {} weiter, mit dem Namen und dem Passwort, die Programme bekommen",
    ),
    (
        "{}: it refuses the name and the password that clients get: {}",
        "{}: er weist Namen und Passwort ab, die Programme bekommen: {}",
    ),
    ("{}: it gives no place: {}", "{}: er gibt keinen Platz: {}"),
    (
        "{}: it asks for a password, and clients get none",
        "{}: er will ein Passwort, und Programme bekommen keines",
    ),
    ("{}: what it answers is no STUN", "{}: was er antwortet, ist kein STUN"),
    ("{}: no answer in time", "{}: keine Antwort in der Zeit"),
    ("{}: its name has no address", "{}: sein Name hat keine Adresse"),
    ("{}: the certificate cannot be read", "{}: das Zertifikat ist nicht lesbar"),
    (
        "see that it runs, and that its port is open; then look at its name in the DNS",
        "sieh nach, dass er läuft und sein Port offen ist; dann nach seinem Namen im DNS",
    ),
    (
        "give both the same secret: static-auth-secret there, the first line of xmpp.turn.secret_file here; and the same time",
        "gib beiden dasselbe Geheimnis: static-auth-secret dort, die erste Zeile von xmpp.turn.secret_file hier; und dieselbe Uhrzeit",
    ),
    (
        "look at its quotas, and at its range of ports",
        "sieh nach seinen Grenzen und seinem Bereich von Ports",
    ),
    (
        "name a file with its secret in xmpp.turn.secret_file",
        "nenne in xmpp.turn.secret_file eine Datei mit seinem Geheimnis",
    ),
    (
        "see whose port it is that xmpp.turn.services names",
        "sieh nach, wessen Port es ist, den xmpp.turn.services nennt",
    ),
];
