// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package jaegertest runs the real Jaeger for a test, and asks it what it was given.
//
// [Start] skips the test where Jaeger was not built (make .bin/jaeger). It runs one for each
// test, on ports of 127.0.0.1 that the system gives out, with traces in memory, and ends it
// with the test. To start it and to end it takes less than a tenth of a second.
//
// [Jaeger.OTLPHTTP] and [Jaeger.OTLPGRPC] are where to export to. [Jaeger.Find] searches as
// the page of Jaeger does, and [Jaeger.Stored] is all that Jaeger has of a trace, for a test
// of what must not be in it.
package jaegertest
