// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// The other side of the wire, with the jose library for Node.
//
//   node interop.mjs keygen ALG            prints a private and a public JWK
//   node interop.mjs call URL AUD KEYS     mints ECTs with the key in KEYS, posts them to
//                                          the service at URL, and verifies what comes back
import { createHash, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import * as jose from 'jose'

const issuer = 'https://node.example/agent'

const hash = (bytes) => createHash('sha256').update(bytes).digest('base64url')

function check(ok, what) {
  if (!ok) throw new Error(what)
}

async function keygen(alg) {
  const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true })
  const jwk = await jose.exportJWK(publicKey)
  jwk.kid = await jose.calculateJwkThumbprint(jwk)
  return { alg, public: jwk, private: await jose.exportJWK(privateKey) }
}

async function mint(keys, audience, body, pred) {
  const key = await jose.importJWK(keys.private, keys.alg)
  const jti = randomUUID()
  const token = await new jose.SignJWT({ exec_act: 'node_task', pred, out_hash: hash(body) })
    .setProtectedHeader({ alg: keys.alg, typ: 'exec+jwt', kid: keys.public.kid })
    .setIssuer(issuer).setAudience(audience).setIssuedAt().setExpirationTime('10m').setJti(jti)
    .sign(key)
  return { token, jti }
}

async function post(url, token, body) {
  const resp = await fetch(`${url}/tasks/review`, {
    method: 'POST', body, headers: { 'Execution-Context': token, 'Content-Type': 'text/plain' },
  })
  return { status: resp.status, ect: resp.headers.get('execution-context'), raw: Buffer.from(await resp.arrayBuffer()) }
}

async function call(url, audience, keys) {
  const resp = await fetch(`${url}/jwks.json`)
  const jwks = jose.createLocalJWKSet(await resp.json())
  const body = 'a body from another language'

  // A root, then a task that comes after what came back.
  const first = await mint(keys, audience, body, [])
  const one = await post(url, first.token, body)
  check(one.status === 200, `the first token was answered ${one.status}: ${one.raw}`)
  const ect = await jose.jwtVerify(one.ect, jwks, { issuer: audience, audience: issuer, typ: 'exec+jwt' })
  check(ect.payload.pred.includes(first.jti), 'the answer does not name the token it answers')
  check(ect.payload.inp_hash === hash(body), 'inp_hash is not that of the request')
  check(ect.payload.out_hash === hash(one.raw), 'out_hash is not that of the response')
  check(ect.payload.exec_act === 'review', 'exec_act is not the action of the path')

  const second = await mint(keys, audience, body, [ect.payload.jti])
  const two = await post(url, second.token, body)
  check(two.status === 200, `a successor was answered ${two.status}: ${two.raw}`)
  await jose.jwtVerify(two.ect, jwks, { issuer: audience, audience: issuer, typ: 'exec+jwt' })

  // What must be refused, with the class it is refused for.
  const refusals = {
    replayed: await post(url, first.token, body),
    rejected: await post(url, (await mint(keys, audience, 'another body', [])).token, body),
    malformed: await post(url, first.token + '=', body),
  }
  for (const [code, r] of Object.entries(refusals)) {
    check(JSON.parse(r.raw).code === code, `${code} was due, and ${r.raw} came with ${r.status}`)
    check(r.ect === null, 'a refusal carries a token')
  }
  return { echo: JSON.parse(one.raw), jti: first.jti, header: ect.protectedHeader, claims: ect.payload }
}

const [, , command, ...args] = process.argv
const result = command === 'keygen'
  ? await keygen(args[0])
  : await call(args[0], args[1], JSON.parse(await readFile(args[2], 'utf8')))
console.log(JSON.stringify(result))
