// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package otelbridge links the tasks that tokens record to the spans of OpenTelemetry, as
// far as a policy lets it.
package otelbridge
