// A mail account, so that invitations have an identity; mail goes to the driver's own sink.
// Arguments: address, name, port of the sink.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const [email, name, smtpPort] = a;
let s = MailServices.outgoingServer.createServer("smtp").QueryInterface(Ci.nsISmtpServer);
s.hostname = "127.0.0.1"; s.port = smtpPort; s.authMethod = 1; s.socketType = 0;
MailServices.outgoingServer.defaultServer = s;
const id = MailServices.accounts.createIdentity();
id.email = email; id.fullName = name; id.smtpServerKey = s.key; id.valid = true;
id.doFcc = false; id.archiveEnabled = false;
const acc = MailServices.accounts.createAccount();
const inc = MailServices.accounts.createIncomingServer(email.split("@")[0], "127.0.0.1", "pop3");
inc.loginAtStartUp = false; inc.doBiff = false; inc.downloadOnBiff = false; inc.valid = true;
acc.incomingServer = inc;
acc.addIdentity(id);
MailServices.accounts.defaultAccount = acc;
return id.key;
