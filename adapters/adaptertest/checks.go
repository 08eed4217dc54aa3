package adaptertest

import "slices"

// checks is the whole suite, in the order in which it runs.
var checks = slices.Concat(receiveChecks, markChecks, ackChecks, deathChecks, holdChecks, sinkChecks, routeChecks, identityChecks, loopChecks, closeChecks, journalChecks, siteChecks, keepChecks)
