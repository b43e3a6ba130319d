// The certified provider on a free loopback port. Reads its settings as one JSON object on standard input, then writes
// one JSON object per line: first {"ready": issuer}, then {"event": name, "fault": text} for what the tests care about.
import { once } from 'node:events';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { Provider } from 'oidc-provider';

const settings = JSON.parse(await text(process.stdin));
const people = new Map(settings.people.map((person) => [person.email, person]));
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const server = http.createServer();
server.listen(settings.port, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: settings.client_id,
    client_secret: settings.client_secret,
    redirect_uris: [settings.redirect_uri],
    post_logout_redirect_uris: [settings.post_logout_redirect_uri],
    backchannel_logout_uri: settings.backchannel_logout_uri,
    backchannel_logout_session_required: true,
    response_types: ['code'],
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  scopes: ['openid', 'email', 'profile', 'groups'],
  claims: { openid: ['sub', 'sid'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  // Puts the claims of the scopes into the ID token too; strictly read they belong to the user information endpoint.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true }, // the built-in pages to sign in and to consent
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  // The provider refuses to call loopback addresses, by way of a dispatcher. Its tests' relying party lives on one.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  cookies: { keys: [settings.cookie_key] },
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, Session: 3600 },
  // What is typed as the login is the account's id, and with it the subject.
  findAccount: (_context, id) => people.has(id) && {
    accountId: id,
    claims: () => ({ sub: id, ...people.get(id) }),
  },
});
for (const event of ['authorization.error', 'backchannel.error', 'backchannel.success', 'grant.error', 'server_error']) {
  provider.on(event, (...values) => {
    const fault = values.find((value) => value instanceof Error);
    say({ event, fault: fault ? `${fault.message} ${fault.error_description ?? ''}`.trim() : '' });
  });
}
server.on('request', provider.callback());
say({ ready: issuer });
