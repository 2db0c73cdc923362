// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package ecttest is a kit for tests of services that use Execution Context Tokens: a
// trust domain in memory whose agents mint good tokens, and every kind of bad one.
//
// A [Domain] is a [core.Binder] over its agents' keys, so a verifier that is given one
// trusts them and nobody else. [Agent.Token] begins a good token that a test may spoil
// before it is signed; [BadTokens] is a table of all the ways a token can be wrong, each
// with the code that verification must answer. The tokens are put together here and not
// by the library's issuer, so that the two keep each other honest.
//
// # Testing an adapter
//
// What is refused does not depend on what carried it, so every adapter is held against the
// same tables: [BadTokens]; [BadMessages], where it is several tokens, what came before or
// the state of the service that makes a message a bad one; and [BadAnswers], for the calling
// side. [GoodMessages] and [GoodAnswers] are the counterparts that must pass. [Traces] says
// what a refusal must not show. The adapter's test adds how a message is sent, how a refusal
// looks, and what its transport alone can get wrong.
//
// Nothing in this package belongs into a program that is no test.
package ecttest
