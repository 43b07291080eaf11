//! The test servers themselves: they start, die, come back and replicate.

use florin_journal::testing::NatsServer;

#[tokio::test]
async fn a_server_comes_back_where_it_was() {
    let mut server = NatsServer::start().await;
    let client = server.connect().await;
    let jetstream = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config { name: "S".into(), ..Default::default() };
    jetstream.create_stream(config).await.expect("a stream");
    jetstream.publish("S", "kept".into()).await.expect("sent").await.expect("stored");
    let url = server.url();
    server.kill();
    server.restart().await;
    assert_eq!(server.url(), url);
    let jetstream = async_nats::jetstream::new(server.connect().await);
    let stream = jetstream.get_stream("S").await.expect("the stream");
    assert_eq!(stream.get_info().await.expect("its state").state.messages, 1);
}

#[tokio::test]
async fn three_servers_replicate() {
    let cluster = NatsServer::cluster(3).await;
    let jetstream = async_nats::jetstream::new(cluster.connect().await);
    let config = async_nats::jetstream::stream::Config { name: "S".into(), num_replicas: 3, ..Default::default() };
    let stream = jetstream.create_stream(config).await.expect("a replicated stream");
    assert_eq!(stream.cached_info().config.num_replicas, 3);
}
