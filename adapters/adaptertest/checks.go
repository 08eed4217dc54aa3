package adaptertest

import "slices"

// checks is the whole suite, in the order in which it runs.
var checks = slices.Concat(receiveChecks, ackChecks, deathChecks, holdChecks, sinkChecks, routeChecks, identityChecks, closeChecks, journalChecks, siteChecks, keepChecks)
