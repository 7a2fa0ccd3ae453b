"""What a policy limits is limited by device: whoever goes and comes back, or takes his own session over, finds the limit as
he left it, and a new version of the policy changes a limit only where it changes its rule."""
import mqtt
from test_counts import a_world, await_sum, client_of

POLICY = ('allow device connect limit 5/h\n'
          'allow device publish "in/#" limit 3/h burst 3\n')


def keeps_its_limits_over_a_switch(system, client):
    def refused(*topics):
        return [client.publish(topic, b"x", qos=1) == 0x97 for topic in topics]
    assert refused("in/x", "in/x", "in/x") == [False, False, True]
    system.apply_policy('allow device publish "alarm" limit 10/m burst 2\n' + POLICY)  # all numbers are others now
    assert refused("in/x", "alarm", "alarm", "alarm", "in/y") == [True, False, False, True, True]
    system.apply_policy(POLICY.replace("burst 3", "burst 1"))
    assert refused("in/x", "in/x") == [False, True]
    system.apply_policy(POLICY)  # and what the rule had before is not forgotten
    assert refused("in/x") == [True]


def test_a_limit_outlives_the_connection():
    with a_world({"device-door": {"audit_window": "200ms"}}) as system:
        system.apply_policy(POLICY)
        dev, other = system.enrol("dev-1"), system.enrol("dev-2")
        with client_of(system, dev) as client:
            assert client.connect() == mqtt.ACCEPTED
            assert [client.publish("in/x", b"x", qos=1) == 0x97 for _ in range(4)] == [False, False, False, True]
            client.disconnect()
        with client_of(system, dev) as client:
            assert client.connect() == mqtt.ACCEPTED
            assert client.publish("in/x", b"x", qos=1) == 0x97
            with client_of(system, dev) as second:  # takes it over
                assert second.connect() == mqtt.ACCEPTED
                assert second.publish("in/x", b"x", qos=1) == 0x97
        for _ in range(2):
            with client_of(system, dev) as client:
                assert client.connect() == mqtt.ACCEPTED
        for _ in range(2):
            with client_of(system, dev) as client:
                assert client.connect() == 0x9F
        with client_of(system, other) as client:  # another device has its own
            assert client.connect() == mqtt.ACCEPTED
            assert client.publish("in/x", b"x", qos=1) in (0, 0x10)
            keeps_its_limits_over_a_switch(system, client)
        await_sum(system, 3, device="dev-1", action="publish", decision="allowed")
        await_sum(system, 3, device="dev-1", action="publish", decision="denied")
        await_sum(system, 2, device="dev-1", action="session.open", decision="denied")
        refused = system.audit(device="dev-1", action="session.open", decision="denied")[0]
        assert refused["reason"] == "more than its limit" and refused["rule"] == 1


def test_what_no_rule_allows_names_the_rule_that_came_nearest():
    """In the records that are written one by one, ten a second at most."""
    with a_world({"device-door": {"audit_window": "200ms"}}) as system:
        dev, shut = system.enrol("dev-1", "pumps"), system.enrol("dev-2")
        system.apply_policy('allow group "pumps" connect\n'
                            'allow device publish "in/#" when message.size < 3\n'
                            'allow device subscribe "out/${device.id}/#"\n'
                            'deny device publish "in/never"\n')
        with client_of(system, dev) as client:
            assert client.connect() == mqtt.ACCEPTED
            assert client.publish("in/x", b"1234", qos=1) == 0x87
            assert client.publish("in/never", b"1", qos=1) == 0x87
            assert client.subscribe("out/dev-2/#") == [0x87]
        with client_of(system, shut) as client:
            assert client.connect() == 0x87
        await_sum(system, 2, device="dev-1", action="publish", decision="denied")
        await_sum(system, 1, device="dev-1", action="subscribe", decision="denied")
        await_sum(system, 1, device="dev-2", action="session.open", decision="denied")
        told = {record["target"]: record.get("reason")
                for record in system.audit(device="dev-1", action="publish", decision="denied")}
        assert told["in/x"] == "nearest is line 2, which asks for message.size < 3; it is 4"
        assert told["in/never"] is None
        refused = system.audit(device="dev-2", action="session.open", decision="denied")[0]["reason"]
        assert refused.startswith("may not connect: nearest is line 1"), refused
        print(system.audit(device="dev-1", action="subscribe", decision="denied")[0]["reason"])
